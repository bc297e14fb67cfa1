"""Needs a vendor's package that is not installed."""

import no_such_vendor_sdk

plugin = no_such_vendor_sdk.plugin
