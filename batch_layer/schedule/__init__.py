"""When the jobs run by themselves: which runs are due, what they do, and the scheduler that starts them."""
