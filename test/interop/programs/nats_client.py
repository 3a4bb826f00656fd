"""A NATS client in a hundred lines, of Python's standard library alone. Nothing of Ergon is in here."""
import asyncio
import json


class Message:
    def __init__(self, subject, reply, headers, data, status):
        self.subject, self.reply, self.headers, self.data, self.status = subject, reply, headers, data, status

    def json(self):
        return json.loads(self.data)


class Nats:
    """Connects, and connects again after a loss. Subscriptions are kept; what is published while there is no connection is dropped."""

    def __init__(self, port, on_up):
        self.port, self.on_up = port, on_up
        self.subscriptions = {}
        self.connected = False
        self.writer = None
        self.closed = False
        self.pongs = []

    async def run(self):
        while not self.closed:
            try:
                reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
                await reader.readline()
                self._send('CONNECT {"verbose": false, "pedantic": false, "headers": true, "no_responders": true}\r\n')
                self.connected, self.pongs = True, []
                for sid, (subject, _) in self.subscriptions.items():
                    self._send(f"SUB {subject} {sid}\r\n")
                asyncio.ensure_future(self.on_up())
                while not self.closed:
                    await self._read(reader)
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                pass
            self.connected = False
            await asyncio.sleep(0.2)

    def subscribe(self, subject, take):
        sid = len(self.subscriptions) + 1
        self.subscriptions[sid] = (subject, take)
        if self.connected:
            self._send(f"SUB {subject} {sid}\r\n")

    def publish(self, subject, data=b"", reply=None, headers=None):
        if not self.connected:
            return
        to = f"{subject} {reply}" if reply else subject
        if headers is None:
            self._send(f"PUB {to} {len(data)}\r\n", data)
            return
        head = ("NATS/1.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n").encode()
        self._send(f"HPUB {to} {len(head)} {len(head) + len(data)}\r\n", head + data)

    async def flush(self):
        """Returns once the server has taken everything that was sent before."""
        pong = asyncio.get_running_loop().create_future()
        self.pongs.append(pong)
        self._send("PING\r\n")
        await pong

    async def close(self):
        self.closed = True
        if self.connected:
            await self.flush()
            self.writer.close()

    def _send(self, line, data=None):
        self.writer.write(line.encode() + (b"" if data is None else data + b"\r\n"))

    async def _read(self, reader):
        words = (await reader.readuntil(b"\r\n")).decode().split()
        kind = words[0]
        if kind == "PING":
            self._send("PONG\r\n")
        elif kind == "PONG":
            if self.pongs:
                self.pongs.pop(0).set_result(None)
        elif kind in ("MSG", "HMSG"):
            sizes = 2 if kind == "HMSG" else 1
            body = (await reader.readexactly(int(words[-1]) + 2))[:-2]
            reply = words[3] if len(words) == 4 + sizes else None
            headers, status = {}, None
            if kind == "HMSG":
                lines = body[: int(words[-2])].decode().split("\r\n")
                body = body[int(words[-2]) :]
                status = lines[0][len("NATS/1.0") :].strip() or None
                headers = dict((name, value.strip()) for name, _, value in (line.partition(":") for line in lines[1:] if line))
            self.subscriptions[int(words[2])][1](Message(words[1], reply, headers, body, status))
