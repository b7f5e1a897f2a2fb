"""Who is this: shared by everything that faces clients."""
