# ruff: noqa: F821
# What Hailback needs of a tracker; connectors/roundup/README.md explains each line. Roundup runs this file as the end
# of the tracker's schema.py: `issue`, `msg`, `db` and `String` are defined above it.
issue.addprop(external_id=String(indexme="no"), conversation_url=String(indexme="no"))
msg.addprop(external_id=String(indexme="no"))

db.security.addRole(name="Hailback", description="Writes cases over REST")
for permission in "Web Access", "Rest Access":
    db.security.addPermissionToRole("Hailback", permission)
for name in "issue", "msg":
    for permission in "View", "Create", "Edit", "Retire":
        db.security.addPermissionToRole("Hailback", permission, name)
for name in "priority", "status", "file", "keyword":
    db.security.addPermissionToRole("Hailback", "View", name)
