"""What people do to jobs, and how they look at them."""
