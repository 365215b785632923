"""Reverse proxies in front of a port: nginx as Debian configures it, and the examples of `deploy/`."""

from __future__ import annotations

import re
import shutil
import socket
from abc import abstractmethod
from pathlib import Path

from .certificates import Certificates
from .process import LocalServer, free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
DEBIANS_NGINX = Path("/etc/nginx/nginx.conf")


def program(name: str) -> str | None:
    """Where a server is that may lie outside of an ordinary user's path."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


class WebProxy(LocalServer):
    """In front of `upstream`, a port on this machine."""

    scheme = "https"

    def __init__(self, upstream: int, tls: Certificates) -> None:
        super().__init__()
        self.port = free_port()
        self.access_log = self.directory / "access.log"
        self._upstream = upstream
        self._tls = tls

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"{self.scheme}://localhost:{self.port}"

    def logged(self) -> str:
        """Everything that it has written about requests, and anything else."""
        return "".join(log.read_text() for log in self.directory.glob("*.log"))

    def command_line(self) -> list[str]:
        """The program on its written configuration."""
        configuration = self.directory / "proxy.conf"
        configuration.write_text(self.configuration())
        return self.start_with(configuration)

    @abstractmethod
    def configuration(self) -> str:
        """What stands in its file."""

    @abstractmethod
    def start_with(self, configuration: Path) -> list[str]:
        """The program and its arguments."""

    def ready(self) -> bool:
        """Whether it listens."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class DebiansNginx(WebProxy):
    """Debian's own `nginx.conf`, with nothing but files moved and a server that says `proxy_pass`."""

    scheme = "http"

    def configuration(self) -> str:
        """Debian's file; its sites are the one."""
        text = DEBIANS_NGINX.read_text()
        # The workers' usual user cannot enter the test's directory.
        text = re.sub(r"^user .*;$", "user root;", text, flags=re.MULTILINE)
        text = re.sub(r"^pid .*;$", f"pid {self.directory}/nginx.pid;", text, flags=re.MULTILINE)
        text = text.replace("/var/log/nginx/", f"{self.directory}/")
        text = text.replace("include /etc/nginx/conf.d/*.conf;", self._kept_here())
        return text.replace("include /etc/nginx/sites-enabled/*;", self.sites())

    def sites(self) -> str:
        """The server, as short as can be."""
        place = f"http://127.0.0.1:{self._upstream}"
        return f"server {{ listen 127.0.0.1:{self.port}; location / {{ proxy_pass {place}; }} }}"

    def start_with(self, configuration: Path) -> list[str]:
        """In the foreground."""
        errors = str(self.directory / "start.log")
        return [program("nginx") or "nginx", "-e", errors, "-g", "daemon off;", "-c", str(configuration)]

    def _kept_here(self) -> str:
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        return "\n".join(f"{kind}_temp_path {self.directory}/{kind};" for kind in kinds)


class ExampleNginx(DebiansNginx):
    """`deploy/nginx.conf` within Debian's configuration."""

    scheme = "https"

    def sites(self) -> str:
        """The example for this machine."""
        text = (DEPLOY / "nginx.conf").read_text()
        for example, here in {
            "127.0.0.1:8080": f"127.0.0.1:{self._upstream}",
            "listen 443 ": f"listen {self.port} ",
            "events.example;": "localhost;",
            "/etc/ssl/certs/events.example.pem": str(self._tls.certificate),
            "/etc/ssl/private/events.example.key": str(self._tls.key),
            "/var/log/nginx/": f"{self.directory}/",
        }.items():
            assert example in text, example
            text = text.replace(example, here)
        return text


class ExampleCaddy(WebProxy):
    """`deploy/Caddyfile`, with certificates from here."""

    def configuration(self) -> str:
        """The example for this machine."""
        text = (DEPLOY / "Caddyfile").read_text()
        tls = f"tls {self._tls.certificate} {self._tls.key}"
        for example, here in {
            "127.0.0.1:8080": f"127.0.0.1:{self._upstream}",
            "events.example {\n": f"localhost:{self.port} {{\n\t{tls}\n",
            "/var/log/caddy/": f"{self.directory}/",
            "{\n\tservers {": "{\n\tadmin off\n\tauto_https disable_redirects\n\tservers {",
        }.items():
            assert example in text, example
            text = text.replace(example, here)
        return text

    def start_with(self, configuration: Path) -> list[str]:
        """In the foreground, with nothing kept elsewhere."""
        caddy = program("caddy") or "caddy"
        home = f"HOME={self.directory}"
        return [
            *("/usr/bin/env", home, f"XDG_CONFIG_HOME={self.directory}", f"XDG_DATA_HOME={self.directory}"),
            *(caddy, "run", "--adapter", "caddyfile", "--config", str(configuration)),
        ]


PROXIES: dict[str, tuple[type[WebProxy], str]] = {
    "nginx as Debian configures it": (DebiansNginx, "nginx"),
    "deploy/nginx.conf": (ExampleNginx, "nginx"),
    "deploy/Caddyfile": (ExampleCaddy, "caddy"),
}
"""By a name for people: the server and its program."""
