// One connection per hop process that says "somebody is here" to the others, for as long as the process lives.
import postgres from "postgres";
import { within } from "./bounded.ts";

/** Suits `postgres({...})`. */
export interface Connection {
  /** The unix socket. */
  readonly path: string;
  readonly username: string;
  readonly password: string;
  readonly database: string;
}

export interface Tenant {
  /** Resolves when the connection is gone, by whatever cause. */
  readonly lost: Promise<void>;
  /** Gives up the place; true when nobody else has one. */
  leave(): Promise<boolean>;
  end(): Promise<void>;
}

/** Any number that nothing else in this database uses; here "hop" in ASCII. */
const LOCK = 0x686f70;
const QUERY_MS = 5000;

/** Connects and takes a place among the tenants. Rejects with the driver's error, its connection closed. */
export async function moveIn(connection: Connection): Promise<Tenant> {
  const { promise: lost, resolve } = Promise.withResolvers<void>();
  const sql = postgres({
    ...connection,
    ssl: false,
    max: 1,
    // The place is the connection's: it must not be closed for being idle or old.
    idle_timeout: 0,
    max_lifetime: null,
    connect_timeout: QUERY_MS / 1000,
    fetch_types: false,
    prepare: false,
    onnotice: () => undefined,
    onclose: () => resolve(),
    connection: { application_name: "hop tenant" },
  });
  const ask = async (expression: string): Promise<unknown> => {
    const rows = await within(sql.unsafe(`SELECT ${expression} AS answer`).execute(), QUERY_MS, expression);
    return rows[0]?.["answer"];
  };
  const end = (): Promise<void> => within(sql.end({ timeout: 0 }), QUERY_MS, "closing a connection");
  try {
    await ask(`pg_advisory_lock_shared(${LOCK})`);
  } catch (error) {
    await end();
    throw error;
  }
  return {
    lost,
    end,
    async leave() {
      await ask(`pg_advisory_unlock_shared(${LOCK})`);
      return (await ask(`pg_try_advisory_lock(${LOCK})`)) === true;
    },
  };
}
