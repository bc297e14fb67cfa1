"""Is written for no Python that there is."""

plugin = print "hello"
