"""The jobs of the batch layer: commands of ``bytemeter``, and mains for spark-submit."""
