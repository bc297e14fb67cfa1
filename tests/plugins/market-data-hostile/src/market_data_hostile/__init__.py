"""A provider that misbehaves in the way that its setting names."""
