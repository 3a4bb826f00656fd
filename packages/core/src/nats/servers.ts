import { InvalidError } from "../base/errors.ts";

/** One server of the option `servers`. */
export interface ServerAddress {
  readonly url: string;
  /** The host and port without a user, for texts. */
  readonly where: string;
  readonly user: string | undefined;
  readonly password: string | undefined;
}

const SCHEMES = ["nats:", "tls:"];
const EXAMPLE = 'write it like "nats://host:4222" or "nats://user:password@host:4222"';
const ESCAPES = "in a user's name and password a comma is written %2C, @ %40, : %3A, / %2F and % %25";

/**
 * Reads the addresses of servers from a list, or from a text with commas. Throws `InvalidError`, which says which address is wrong and how. It never
 * quotes an address, because any part of a wrong one may be a password.
 */
export function readServers(servers: string | readonly string[]): readonly ServerAddress[] {
  const list = typeof servers === "string" ? servers.split(",") : servers;
  if (list.length === 0) throw new InvalidError("INVALID_OPTION", `servers: there is no address; ${EXAMPLE}`);
  const fault = (index: number, what: string): InvalidError => {
    const message = `servers: ${list.length === 1 ? "the address" : `address ${index + 1} of ${list.length}`} ${what}`;
    return new InvalidError("INVALID_OPTION", message, {
      issues: [{ field: "servers", code: "INVALID_OPTION", message }],
    });
  };
  return list.map((text, index) => {
    const trimmed = text.trim();
    const hasScheme = trimmed.includes("://");
    // The part after a comma in a password looks like an address with a user and without a scheme.
    if (typeof servers === "string" && index > 0 && !hasScheme && trimmed.includes("@"))
      throw fault(index, `has a user but does not begin with nats:// or tls://; ${ESCAPES}`);
    const withScheme = hasScheme ? trimmed : `nats://${trimmed}`;
    const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
    // Nothing may follow the host. A password with a / would continue there, and its beginning would be taken for a port.
    const rest = url === undefined ? "" : url.pathname.slice(1) + url.search + url.hash;
    if (url === undefined || url.hostname === "" || rest !== "")
      throw fault(index, `is not that of a server: ${EXAMPLE}; ${ESCAPES}`);
    if (!SCHEMES.includes(url.protocol)) throw fault(index, "must begin with nats:// or tls://");
    const host = url.port === "" ? `${url.hostname}:4222` : url.host;
    try {
      return {
        url: `${url.protocol}//${host}`,
        where: host,
        user: url.username === "" ? undefined : decodeURIComponent(url.username),
        password: url.password === "" ? undefined : decodeURIComponent(url.password),
      };
    } catch {
      // The cause quotes the text, so the error omits it.
      throw fault(index, `has a "%" in its user or password that begins no escape; ${ESCAPES}`);
    }
  });
}
