"""The way out: approved files to the job server or to a folder of this machine, and events to the job server."""
