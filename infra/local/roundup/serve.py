"""A real Roundup tracker on this machine: makes its home when there is none, then serves it on a loopback port.

Run by the Python of the environment that `infra/local/roundup.lock` describes:

    serve.py --home DIR --port N --user NAME --password-file FILE [--until-stdin-closes]

Port 0 takes a free one. `--password-file -` reads the password from the first line of standard input.

One JSON line on standard output says `{"ready": true, "base_url": …}`. State stays in DIR, in SQLite with a
write-ahead log, and survives a kill. It never sends mail: what Roundup would have sent is appended to DIR/mail.txt.
Anybody may read tickets in a browser; to change one, log in as `admin` with the password in DIR/admin-password.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import roundup.init
import roundup.instance
import waitress
from roundup import password
from roundup.backends import back_sqlite
from roundup.cgi.wsgi_handler import RequestDispatcher
from roundup.configuration import CoreConfig

PREFIX = "/tracker"
HERE = Path(__file__).resolve().parent
UNIQUE = (
    # The database itself refuses a second record with the same key; a retired one no longer counts.
    "CREATE UNIQUE INDEX IF NOT EXISTS hailback_issue ON _issue(_external_id, __retired__)",
    "CREATE UNIQUE INDEX IF NOT EXISTS hailback_msg ON _msg(_external_id, __retired__)",
    "CREATE UNIQUE INDEX IF NOT EXISTS hailback_issue_messages ON issue_messages(nodeid, linkid)",
)
LINK_ROW = """<tr tal:condition="python:context.conversation_url">
 <th>Conversation</th>
 <td colspan=3><a tal:attributes="href context/conversation_url/plain"
  tal:content="context/conversation_url/plain"></a></td>
</tr>
"""


def main() -> None:
    options = _options()
    home = Path(options.home).resolve()
    word = _password(options.password_file)
    try:
        listener = socket.create_server(("127.0.0.1", options.port), backlog=128)
    except OSError as error:
        sys.exit(f"port {options.port} on 127.0.0.1 cannot be taken ({error.strerror}); choose another --port")
    base_url = f"http://127.0.0.1:{listener.getsockname()[1]}{PREFIX}/"
    _make(home)
    _configure(home, base_url)
    _seed(home, options.user, word)
    _serve(home, listener, base_url, options.until_stdin_closes)


def _password(file: str) -> str:
    word = (sys.stdin.readline() if file == "-" else Path(file).read_text(encoding="utf-8")).strip()
    return word or sys.exit("the password is empty")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serve a local Roundup tracker.")
    parser.add_argument("--home", required=True, help="the tracker's folder; made when absent")
    parser.add_argument("--port", required=True, type=int, help="a port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--user", default="hailback", help="the account that writes over REST")
    parser.add_argument("--password-file", required=True, help="a file that holds its password; - for standard input")
    parser.add_argument("--until-stdin-closes", action="store_true", help="stop when whoever started it is gone")
    return parser.parse_args()


def _make(home: Path) -> None:
    """A tracker home, all of it or none: it is made beside its place and moved there when complete."""
    if (home / CoreConfig.INI_FILE).is_file():
        _add_to_schema(home)  # one made by an earlier version gets what that did not know
        return
    if home.exists() and any(home.iterdir()):
        sys.exit(f"{home} is neither empty nor a tracker home; choose another --home")
    draft = home.with_name(home.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.parent.mkdir(parents=True, exist_ok=True)
    template = Path(sys.prefix) / "share" / "roundup" / "templates" / "classic"
    settings = {
        "ADMIN_EMAIL": "admin@localhost",
        "TRACKER_NAME": "Hailback's local tracker",
        "TRACKER_WEB": "http://127.0.0.1/",
        "RDBMS_BACKEND": "sqlite",
        "MAIL_DOMAIN": "localhost",
        "MAIL_HOST": "localhost",
        "MAIL_DEBUG": "mail.txt",
        "PASSWORD_PBKDF2_DEFAULT_ROUNDS": "1000",
        "WEB_SECRET_KEY": secrets.token_urlsafe(32),
    }
    roundup.init.install(str(draft), str(template), settings=settings)
    _add_to_schema(draft)
    page = draft / "html" / "issue.item.html"
    before, mark, after = page.read_text(encoding="utf-8").partition('<tr tal:condition="context/is_edit_ok">')
    page.write_text(before + LINK_ROW + mark + after, encoding="utf-8")
    tracker = roundup.instance.open(str(draft))
    admin = secrets.token_urlsafe(16)
    tracker.init(password.Password(admin, config=tracker.config), tx_Source="cli")
    word = draft / "admin-password"
    word.touch(mode=0o600)
    word.write_text(admin + "\n", encoding="utf-8")
    if home.exists():
        home.rmdir()
    draft.rename(home)


def _add_to_schema(home: Path) -> None:
    """Our part is the end of the tracker's own schema; Roundup makes the columns when it opens the tracker."""
    additions = (HERE / "schema_additions.py").read_text(encoding="utf-8")
    schema = home / "schema.py"
    before = schema.read_text(encoding="utf-8")
    after = before.partition(additions.splitlines()[0])[0].rstrip() + "\n\n" + additions
    if after != before:
        schema.write_text(after, encoding="utf-8")


def _configure(home: Path, base_url: str) -> None:
    """Roundup checks each request's origin against this address, and the port may differ from start to start."""
    config = CoreConfig(str(home))
    if config["TRACKER_WEB"] != base_url:
        config["TRACKER_WEB"] = base_url
        config.save()


def _seed(home: Path, user: str, word: str) -> None:
    tracker = roundup.instance.open(str(home))
    db = tracker.open("admin")
    try:
        try:
            account = db.user.lookup(user)
        except KeyError:
            secret = password.Password(word, config=db.config)
            db.user.create(username=user, password=secret, address=f"{user}@localhost", roles="Hailback")
        else:
            if db.user.get(account, "password") != word:
                db.user.set(account, password=password.Password(word, config=db.config))
        db.commit()
    finally:
        db.close()
    # Opening the tracker above brought the tables up to date; an index lives in the database, not in schema.py.
    connection = sqlite3.connect(home / "db" / "db", timeout=30)
    for statement in UNIQUE:
        connection.execute(statement)
    connection.commit()
    connection.close()


def _release_locks() -> None:
    """Roundup 2.6 keeps the connection of a request that failed inside a write, and with it SQLite's only write lock,
    until the garbage collector comes by; every other write then waits for 30 seconds. Roll back when it is closed.
    """
    close = back_sqlite.Database.sql_close

    def roll_back_and_close(self: Any) -> None:
        self.sql_rollback()
        close(self)

    back_sqlite.Database.sql_close = roll_back_and_close


def _serve(home: Path, listener: socket.socket, base_url: str, until_stdin_closes: bool) -> None:
    _release_locks()
    application: Callable[..., Any] = RequestDispatcher(str(home))
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a request that waits for a thread is no news
    server = waitress.create_server(application, sockets=[listener], threads=4, url_prefix=PREFIX, ident=None)
    for number in signal.SIGTERM, signal.SIGINT:
        signal.signal(number, lambda *_: os._exit(0))  # each request has its own transaction: nothing to save
    if until_stdin_closes:
        threading.Thread(target=_leave_with_parent, daemon=True).start()
    print(json.dumps({"ready": True, "base_url": base_url, "pid": os.getpid()}), flush=True)
    sys.stdout = sys.stderr  # Roundup prints its exceptions, and nobody reads the pipe any more
    server.run()


def _leave_with_parent() -> None:
    while sys.stdin.buffer.read(1):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
