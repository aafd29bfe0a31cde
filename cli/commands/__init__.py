"""The commands of ``bytemeter``, thin over the layers."""
