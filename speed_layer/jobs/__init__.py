"""The job of the speed layer: a command of ``bytemeter``, and a main for spark-submit."""
