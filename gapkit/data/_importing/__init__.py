"""How files become a split: plan, tasks, parts made in workers, staging, assembly."""
