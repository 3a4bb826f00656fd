import { createServer, connect, type Server, type Socket } from "node:net";

/** One message of the NATS protocol that passes; `line` for what has no subject. */
export interface Frame {
  /** Towards the NATS server, or towards the process behind the proxy. */
  readonly to: "server" | "client";
  readonly subject: string;
  readonly reply: string;
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
  /**
   * Resolves when the task's point is reached; from then on nothing that concerns the task passes until `release`, and everything else does. So
   * many tasks can each stand at a point of their own.
   */
  withhold(task: string, point: Point): Promise<void>;
  /** Forgets the point, if it has not been reached. */
  forget(): void;
  /** Stops everything now. */
  freeze(): void;
  /** What was held goes on its way. */
  release(): void;
  /** How far the process is from NATS, each way; to be set before there is a connection. */
  distanceMs: number;
  /** Breaks every connection and takes no other, until `mend`. */
  cut(): void;
  mend(): void;
  stop(): Promise<void>;
}

interface Withheld extends Point {
  readonly task: string;
  readonly reached: () => void;
  isReached: boolean;
  /** Where answers to what the process has said of the task will come. */
  readonly inboxes: Set<string>;
}

interface Held {
  readonly to: Socket;
  readonly bytes: Buffer;
}

const END = Buffer.from("\r\n");

export async function startProxy(target: { readonly host: string; readonly port: number }): Promise<Proxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let held: Held[] = [];
  let withheld: Withheld[] = [];
  let frozen = false;
  let isCut = false;
  let point: (Point & { readonly reached: () => void }) | undefined;

  const forward = (to: Socket, bytes: Buffer): void => {
    if (frozen) held.push({ to, bytes });
    else if (proxy.distanceMs === 0) to.write(bytes);
    else setTimeout(() => to.writable && to.write(bytes), proxy.distanceMs);
  };
  /** Whether the frame is kept back for the sake of one task. */
  const isWithheld = (frame: Frame): boolean => {
    for (const entry of withheld) {
      if (!entry.isReached && !entry.match(frame)) continue;
      const concerns =
        frame.subject.includes(entry.task) || frame.body.includes(entry.task) || entry.inboxes.has(frame.subject);
      if (entry.isReached && !concerns) continue;
      if (frame.reply !== "") entry.inboxes.add(frame.reply);
      const passes = !entry.isReached && entry.when === "after";
      entry.isReached = true;
      entry.reached();
      return !passes;
    }
    return false;
  };
  const pass = (frame: Frame, to: Socket, bytes: Buffer): void => {
    if (isWithheld(frame)) {
      held.push({ to, bytes });
      return;
    }
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
    withheld = [];
    const queue = held;
    held = [];
    for (const { to, bytes } of queue) forward(to, bytes);
  };
  const proxy: Proxy = {
    distanceMs: 0,
    url: `nats://127.0.0.1:${port}`,
    hold: (wanted) =>
      new Promise((resolve) => {
        point = { ...wanted, reached: resolve };
      }),
    withhold: (task, wanted) =>
      new Promise((resolve) => {
        withheld.push({ ...wanted, task, reached: resolve, isReached: false, inboxes: new Set() });
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
  return proxy;
}

/** Splits what a socket reads into frames. */
function follow(socket: Socket, to: Frame["to"], pass: (frame: Frame, bytes: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let frame = cutFrame(rest); frame !== undefined; frame = cutFrame(rest)) {
      rest = rest.subarray(frame.bytes.length);
      pass({ to, ...frame }, frame.bytes);
    }
  });
}

function cutFrame(buffer: Buffer): (Omit<Frame, "to"> & { readonly bytes: Buffer }) | undefined {
  const lineEnd = buffer.indexOf(END);
  if (lineEnd < 0) return undefined;
  const [operation = "", ...words] = buffer.toString("latin1", 0, lineEnd).split(" ");
  const start = lineEnd + END.length;
  if (!/^H?(PUB|MSG)$/i.test(operation)) return { bytes: buffer.subarray(0, start), subject: "", reply: "", body: "" };
  const length = start + Number(words.at(-1));
  if (buffer.length < length + END.length) return undefined;
  // Sizes come last, one or, with headers, two of them; a subscription's id comes second.
  const sizes = /^H/i.test(operation) ? 2 : 1;
  const replyAt = /MSG$/i.test(operation) ? 2 : 1;
  return {
    bytes: buffer.subarray(0, length + END.length),
    subject: words[0] ?? "",
    reply: words.length > replyAt + sizes ? (words[replyAt] ?? "") : "",
    body: buffer.toString("latin1", start, length),
  };
}
