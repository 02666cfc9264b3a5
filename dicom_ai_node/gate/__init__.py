"""The gate before sending: each object is read back from disk and compared with its job.

An attempt compares what it has written with the result and its images (`gate`); the worker, which
no model can reach, compares it once more with the stored instances and the report (`handed_over`).
What does not pass is destroyed, and never sent.
"""
