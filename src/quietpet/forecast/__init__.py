"""What a study will cost before it runs: jobs, core time, memory, disk and network traffic."""
