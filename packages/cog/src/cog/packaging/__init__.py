"""Reading cog.yaml and packing model folders."""
