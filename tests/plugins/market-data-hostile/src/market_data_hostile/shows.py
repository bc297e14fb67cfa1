"""The entry point of a plugin whose settings show a secret."""

from market_data_hostile.plugin import Plugin

plugin = Plugin("hostile-shows", "ShownSettings")
