"""What spark-submit runs: the mains of the batch layer."""
