"""Many sessions on one task: a graph of subtasks, run side by side, merged, checked, measured.

plan, scope, states, metrics, timeline, digest, rollout, agents and prompts are pure: values in, values out; what runs,
writes or asks lives beside them. Invariant: a swarm's state is the fold of its journal's entries, nothing else.
"""
