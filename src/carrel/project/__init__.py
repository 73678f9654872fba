"""project.yaml: text in, checked `Pipeline` out. Pure: no Django, no disk, no network (spec: project-yaml.md)."""
