"""A plugin that begins to work when it is imported."""

import threading

from market_data_hostile.plugin import Plugin

threading.Thread(target=threading.Event().wait, name="hostile import", daemon=True).start()

plugin = Plugin()
