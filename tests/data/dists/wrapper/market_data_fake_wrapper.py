"""Its hook would wrap those of others."""

from market_data_pipeline.plugins import hookimpl


class Plugin:
    @hookimpl(wrapper=True)
    def mdp_providers(self, context):
        return (yield)


plugin = Plugin()
