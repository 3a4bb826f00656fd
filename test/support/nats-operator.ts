import { nkeys } from "nats";

type KeyPair = ReturnType<typeof nkeys.createUser>;

/** A user whom an operator's account vouches for, without a server knowing the user. */
export interface Operator {
  /** What a server is to be told. */
  readonly configuration: Readonly<Record<string, unknown>>;
  /** A credentials file as `nsc` writes it. */
  readonly creds: string;
}

const seedOf = (key: KeyPair): string => new TextDecoder().decode(key.getSeed());

/** A key pair as NATS writes it: the public key for the server, the seed for the user. */
export function createNkey(): { readonly publicKey: string; readonly seed: string } {
  const user = nkeys.createUser();
  return { publicKey: user.getPublicKey(), seed: seedOf(user) };
}

/** An operator, an account with JetStream and a user of it, each signed by the one before. */
export function createOperator(): Operator {
  const [operator, account, user] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createUser()];
  const system = nkeys.createAccount().getPublicKey();
  const unlimited = { subs: -1, data: -1, payload: -1 };
  const limits = {
    ...unlimited,
    ...{ imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 },
    ...{ mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 },
  };
  const accountKey = account.getPublicKey();
  const accountJwt = sign(operator, accountKey, { type: "account", limits });
  const userJwt = sign(account, user.getPublicKey(), { type: "user", pub: {}, sub: {}, ...unlimited });
  return {
    configuration: {
      operator: sign(operator, operator.getPublicKey(), { type: "operator" }),
      resolver: "MEMORY",
      resolver_preload: {
        [accountKey]: accountJwt,
        [system]: sign(operator, system, { type: "account", limits: { ...limits, disk_storage: 0, mem_storage: 0 } }),
      },
      system_account: system,
    },
    creds: `-----BEGIN NATS USER JWT-----
${userJwt}
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
${seedOf(user)}
------END USER NKEY SEED------
`,
  };
}

function sign(issuer: KeyPair, subject: string, nats: object): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { jti: subject, iat: 0, iss: issuer.getPublicKey(), name: "test", sub: subject };
  const text = `${encode({ typ: "JWT", alg: "ed25519-nkey" })}.${encode({ ...claims, nats: { ...nats, version: 2 } })}`;
  return `${text}.${Buffer.from(issuer.sign(Buffer.from(text))).toString("base64url")}`;
}
