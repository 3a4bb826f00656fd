import { X509Certificate, createPrivateKey } from "node:crypto";
import { readFile } from "node:fs/promises";

import {
  credsAuthenticator,
  nkeyAuthenticator,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from "@nats-io/nats-core";
import type { Authenticator } from "@nats-io/nats-core";

import { InvalidError } from "../base/errors.ts";
import type { NatsOptions } from "./options.ts";
import type { ServerAddress } from "./servers.ts";

type Credentials = Pick<NatsOptions, "credsFile" | "nkeySeed" | "token" | "user" | "password">;

/**
 * Returns the credentials of a connection. `server` is the address that names a user. Throws `InvalidError`, which names the unusable option and
 * holds no secret.
 */
export async function readAuthenticator(
  options: Credentials,
  server: ServerAddress | undefined,
): Promise<Authenticator | undefined> {
  if (options.credsFile !== undefined) {
    const data = await readOption("credsFile", options.credsFile);
    return tried("credsFile", `${options.credsFile} does not hold a JWT and a seed`, credsAuthenticator(data));
  }
  if (options.nkeySeed !== undefined) {
    const seed = new TextEncoder().encode(options.nkeySeed);
    return tried("nkeySeed", "is not a user's seed, which begins with SU", nkeyAuthenticator(seed));
  }
  if (options.token !== undefined) return tokenAuthenticator(options.token);
  const user = options.user ?? server?.user;
  const password = options.password ?? server?.password;
  if (user === undefined) return undefined;
  // The user of a URL without a password is a token.
  if (password === undefined && options.user === undefined) return tokenAuthenticator(user);
  return usernamePasswordAuthenticator(user, password);
}

/** Reads the files of `tls`. They are read again at each connection, so that they may be renewed. Throws `InvalidError`, which names the unusable file. */
export async function checkTls({ caFile, certFile, keyFile }: NonNullable<NatsOptions["tls"]>): Promise<void> {
  if (certFile !== undefined && keyFile === undefined) throw fault("tls.keyFile", "must be given with tls.certFile");
  if (keyFile !== undefined && certFile === undefined) throw fault("tls.certFile", "must be given with tls.keyFile");
  const check = async (option: string, path: string | undefined, parse: (data: Buffer) => unknown): Promise<void> => {
    if (path === undefined) return;
    const data = await readOption(option, path);
    try {
      parse(data);
    } catch (cause) {
      throw fault(option, `${path} does not hold a ${option === "tls.keyFile" ? "key" : "certificate"} in PEM`, cause);
    }
  };
  await check("tls.caFile", caFile, (data) => new X509Certificate(data));
  await check("tls.certFile", certFile, (data) => new X509Certificate(data));
  await check("tls.keyFile", keyFile, (data) => createPrivateKey(data));
}

/** Checks a key with one signature. A wrong key would otherwise fail at each connection, like an absent server. The cause may quote the secret. */
function tried(option: string, what: string, authenticator: Authenticator): Authenticator {
  try {
    authenticator("nonce");
    return authenticator;
  } catch {
    throw fault(option, what);
  }
}

async function readOption(option: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw fault(option, `${path} cannot be read`, cause);
  }
}

function fault(option: string, what: string, cause?: unknown): InvalidError {
  const message = `${option}: ${what}`;
  return new InvalidError("INVALID_OPTION", message, {
    issues: [{ field: option, code: "INVALID_OPTION", message }],
    ...(cause === undefined ? {} : { cause }),
  });
}
