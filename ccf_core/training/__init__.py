"""Training of the adapter: data, packing, losses, the loop. Nothing here is needed to use a memory."""
