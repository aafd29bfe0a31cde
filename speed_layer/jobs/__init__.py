"""What spark-submit runs: the mains of the speed layer."""
