"""One module per pipeline step, each with ``run(job, inputs, outputs)``: read, compute, write."""
