import { connect, createInbox, headers, type Msg, type NatsConnection } from "nats";

/** What `nats stream backup` writes: the archive, and beside it the configuration, which the archive of a nats-server 2.15 does not hold. */
export interface StreamBackup {
  readonly config: { readonly name: string };
  readonly state: object;
  readonly chunks: readonly Uint8Array[];
}

const CHUNK_BYTES = 65_536;
const PATIENCE_MS = 10_000;

/** Archives the task buckets first and the leases bucket last, or those of them that `isWanted`, by the requests that `nats stream backup` makes. */
export async function backUp(
  url: string,
  isWanted: (stream: string) => boolean = () => true,
): Promise<readonly StreamBackup[]> {
  return withConnection(url, async (nats) => {
    const { streams } = await ask<{ readonly streams: readonly string[] }>(nats, "STREAM.NAMES", {});
    const inOrder = [...streams.filter((name) => !isLeases(name)), ...streams.filter(isLeases)];
    const backups: StreamBackup[] = [];
    for (const stream of inOrder.filter(isWanted)) backups.push(await backUpStream(nats, stream));
    return backups;
  });
}

export function isLeases(stream: string): boolean {
  return stream.endsWith("_leases");
}

/** Puts streams into a server that has none of these names, by the requests that `nats stream restore` makes. */
export async function restore(url: string, backups: readonly StreamBackup[]): Promise<void> {
  await withConnection(url, async (nats) => {
    for (const { config, state, chunks } of backups) {
      const { deliver_subject: to } = await ask<{ readonly deliver_subject: string }>(
        nats,
        `STREAM.RESTORE.${config.name}`,
        { config, state },
      );
      for (const chunk of chunks) await nats.request(to, chunk, { timeout: PATIENCE_MS });
      answerOf(await nats.request(to, new Uint8Array(), { timeout: PATIENCE_MS }));
    }
  });
}

/** Removes the keys below `prefix` of a bucket, as `nats kv del` does with each. */
export async function deleteKeys(url: string, bucket: string, prefix: string): Promise<number> {
  return withConnection(url, async (nats) => {
    const filter = { subjects_filter: `$KV.${bucket}.${prefix}.*` };
    const { state } = await ask<{ readonly state: { readonly subjects?: Readonly<Record<string, number>> } }>(
      nats,
      `STREAM.INFO.KV_${bucket}`,
      filter,
    );
    const subjects = Object.keys(state.subjects ?? {});
    const deletion = headers();
    deletion.set("KV-Operation", "DEL");
    for (const subject of subjects)
      await nats.request(subject, new Uint8Array(), { headers: deletion, timeout: PATIENCE_MS });
    return subjects.length;
  });
}

async function backUpStream(nats: NatsConnection, stream: string): Promise<StreamBackup> {
  const chunks: Uint8Array[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const inbox = createInbox();
  const subscription = nats.subscribe(inbox, {
    callback: (error, message) => {
      if (error !== null) return reject(error);
      // The end: an empty message, with the server's word if something went wrong.
      if (message.data.length === 0)
        return message.headers?.code ? reject(new Error(message.headers.status)) : resolve();
      chunks.push(message.data);
      message.respond();
    },
  });
  const { config, state } = await ask<Omit<StreamBackup, "chunks">>(nats, `STREAM.SNAPSHOT.${stream}`, {
    deliver_subject: inbox,
    chunk_size: CHUNK_BYTES,
  });
  await promise;
  subscription.unsubscribe();
  return { config, state, chunks };
}

async function ask<T>(nats: NatsConnection, what: string, body: object): Promise<T> {
  return answerOf(await nats.request(`$JS.API.${what}`, JSON.stringify(body), { timeout: PATIENCE_MS }));
}

function answerOf<T>(message: Msg): T {
  const answer = message.json<T & { readonly error?: { readonly description: string } }>();
  if (answer.error !== undefined) throw new Error(answer.error.description);
  return answer;
}

async function withConnection<T>(url: string, run: (nats: NatsConnection) => Promise<T>): Promise<T> {
  const nats = await connect({ servers: url });
  try {
    return await run(nats);
  } finally {
    await nats.close();
  }
}
