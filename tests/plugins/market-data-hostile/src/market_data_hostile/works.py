"""The entry point of a plugin that works while it is imported."""

import os
import threading

from market_data_hostile.plugin import Plugin

os.environ["HOSTILE_WORKS"] = str(os.getpid())
threading.Thread(target=threading.Event().wait, name="hostile", daemon=True).start()

plugin = Plugin("hostile-works")
