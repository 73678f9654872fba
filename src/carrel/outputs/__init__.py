"""What a job made: listed, matched, checked for level 4, and published. Shared by the agent and the local run."""
