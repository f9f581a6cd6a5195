"""PET to T1: engines behind one signature, and what makes a result credible."""
