import { createServer, connect, type Server, type Socket } from "node:net";

/** One message of the NATS protocol that passes; `line` for what has no subject. */
export interface Frame {
  /** Towards the NATS server, or towards the process behind the proxy. */
  readonly to: "server" | "client";
  readonly subject: string;
  /** Headers and payload. */
  readonly body: string;
}

/** A moment in the conversation: right before or right after the first frame that matches has passed. */
export interface Point {
  readonly when: "before" | "after";
  readonly match: (frame: Frame) => boolean;
}

/**
 * A process's wire to NATS, frame by frame. At a point it stops, in both directions, to the byte: what the process has done and heard until then
 * is known exactly, without a hook in the product.
 */
export interface Proxy {
  readonly url: string;
  /** Resolves when the point is reached; from then on nothing passes until `release`. Replaces the last point. */
  hold(point: Point): Promise<void>;
  /** Forgets the point, if it has not been reached. */
  forget(): void;
  /** Stops everything now. */
  freeze(): void;
  /** What was held goes on its way. */
  release(): void;
  /** Breaks every connection and takes no other, until `mend`. */
  cut(): void;
  mend(): void;
  stop(): Promise<void>;
}

interface Held {
  readonly to: Socket;
  readonly bytes: Buffer;
}

const END = Buffer.from("\r\n");

export async function startProxy(target: { readonly host: string; readonly port: number }): Promise<Proxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let held: Held[] = [];
  let frozen = false;
  let isCut = false;
  let point: (Point & { readonly reached: () => void }) | undefined;

  const forward = (to: Socket, bytes: Buffer): void => {
    if (frozen) held.push({ to, bytes });
    else to.write(bytes);
  };
  const pass = (frame: Frame, to: Socket, bytes: Buffer): void => {
    const here = !frozen && point?.match(frame) === true ? point : undefined;
    if (here === undefined) return forward(to, bytes);
    point = undefined;
    if (here.when === "after") to.write(bytes);
    frozen = true;
    if (here.when === "before") forward(to, bytes);
    here.reached();
  };
  const server: Server = createServer((client) => {
    if (isCut) return client.destroy();
    const upstream = connect(target.port, target.host);
    const pair = [client, upstream] as const;
    pairs.add(pair);
    follow(client, "server", (frame, bytes) => pass(frame, upstream, bytes));
    follow(upstream, "client", (frame, bytes) => pass(frame, client, bytes));
    for (const socket of pair) {
      socket.setNoDelay(true);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        // What a dead process had not sent is never sent.
        held = held.filter(({ to }) => to !== client && to !== upstream);
        pairs.delete(pair);
        client.destroy();
        upstream.end();
      });
    }
    return undefined;
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const cut = (): void => {
    isCut = true;
    for (const [client, upstream] of pairs) {
      client.destroy();
      upstream.destroy();
    }
  };
  const release = (): void => {
    frozen = false;
    const queue = held;
    held = [];
    for (const { to, bytes } of queue) forward(to, bytes);
  };
  return {
    url: `nats://127.0.0.1:${port}`,
    hold: (wanted) =>
      new Promise((resolve) => {
        point = { ...wanted, reached: resolve };
      }),
    forget: () => {
      point = undefined;
    },
    freeze: () => {
      frozen = true;
    },
    release,
    cut,
    mend: () => {
      isCut = false;
    },
    stop: async () => {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Splits what a socket reads into frames. */
function follow(socket: Socket, to: Frame["to"], pass: (frame: Frame, bytes: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let frame = cutFrame(rest); frame !== undefined; frame = cutFrame(rest)) {
      rest = rest.subarray(frame.bytes.length);
      pass({ to, subject: frame.subject, body: frame.body }, frame.bytes);
    }
  });
}

function cutFrame(
  buffer: Buffer,
): { readonly bytes: Buffer; readonly subject: string; readonly body: string } | undefined {
  const lineEnd = buffer.indexOf(END);
  if (lineEnd < 0) return undefined;
  const [operation = "", ...words] = buffer.toString("latin1", 0, lineEnd).split(" ");
  const start = lineEnd + END.length;
  if (!/^H?(PUB|MSG)$/i.test(operation)) return { bytes: buffer.subarray(0, start), subject: "", body: "" };
  const length = start + Number(words.at(-1));
  if (buffer.length < length + END.length) return undefined;
  return {
    bytes: buffer.subarray(0, length + END.length),
    subject: words[0] ?? "",
    body: buffer.toString("latin1", start, length),
  };
}
