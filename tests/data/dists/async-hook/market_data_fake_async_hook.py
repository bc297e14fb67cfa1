"""Its hook is a coroutine function, which nobody would await."""


class Plugin:
    async def mdp_providers(self, context):
        return []


plugin = Plugin()
