# ruff: noqa: F821
# What Hailback needs of a tracker; connectors/roundup/README.md explains each line. Roundup runs this file as the end
# of the tracker's schema.py: `issue`, `msg`, `db`, `String` and `Date` are defined above it.
import roundup.date

issue.addprop(external_id=String(indexme="no"), conversation_url=String(indexme="no"))
issue.addprop(status_changed=Date(), status_changed_by=String(indexme="no"))
msg.addprop(external_id=String(indexme="no"))


def note_status(db, cl, nodeid, newvalues):
    if "status" in newvalues and newvalues["status"] != cl.get(nodeid, "status"):
        newvalues["status_changed"] = roundup.date.Date(".")
        newvalues["status_changed_by"] = db.user.get(db.getuid(), "username")


issue.audit("set", note_status, priority=200)  # after the others, which may change the status as well

db.security.addRole(name="Hailback", description="Writes cases over REST")
for permission in "Web Access", "Rest Access":
    db.security.addPermissionToRole("Hailback", permission)
for name in "issue", "msg":
    for permission in "View", "Create", "Edit", "Retire":
        db.security.addPermissionToRole("Hailback", permission, name)
for name in "priority", "status", "file", "keyword":
    db.security.addPermissionToRole("Hailback", "View", name)
names = db.security.addPermission(name="View", klass="user", properties=("id", "username", "realname"))
db.security.addPermissionToRole("Hailback", names)
