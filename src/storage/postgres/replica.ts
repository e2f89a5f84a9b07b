// A streaming replica of Postgres: links with the place in the log that they are of, and how far servers are.
import type { Position } from "../../links/replica-rule.ts";
import type { ReplicaAnswer, RouteReplica } from "../../links/replicated-lookup.ts";
import { AppError } from "../../lib/errors.ts";
import { asking, type Database } from "./database.ts";
import { PostgresLinkStore } from "./links.ts";

/** How far a server is, and of which cluster it is: positions of two clusters cannot be compared. */
export interface ServerPosition {
  /** Undefined of a server that replays nothing. */
  readonly position: Position | undefined;
  /** The same for a primary and its replicas. */
  readonly cluster: string;
}

/**
 * What is in the primary's log, flushed or not: a change that was heard of is in it, also with `synchronous_commit = off`.
 * @throws PostgresError when the server is itself a replica
 */
export async function primaryPosition(sql: Database): Promise<{ position: Position; cluster: string }> {
  const [row] = await asking(
    sql,
    () => sql<{ position: number; cluster: string }[]>`
      SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint AS position, system_identifier::text AS cluster
      FROM pg_control_system()`,
  );
  if (row === undefined) throw new Error("Postgres did not say its position");
  return row;
}

export class PostgresReplica implements RouteReplica {
  readonly #sql: Database;

  constructor(sql: Database) {
    this.#sql = sql;
  }

  async position(): Promise<ServerPosition> {
    const sql = this.#sql;
    const [row] = await asking(
      sql,
      () => sql<{ position: number | null; cluster: string }[]>`
        SELECT CASE WHEN pg_is_in_recovery() THEN (pg_last_wal_replay_lsn() - '0/0')::bigint END AS position,
          system_identifier::text AS cluster
        FROM pg_control_system()`,
    );
    if (row === undefined) throw new Error("the replica did not say its position");
    return { position: row.position ?? undefined, cluster: row.cluster };
  }

  /**
   * One transaction, so that both statements meet one server also behind a pooler, and READ COMMITTED, so that the second
   * sees all that had been replayed when the first was answered.
   */
  async findRoutes(codes: readonly string[]): Promise<ReplicaAnswer> {
    const sql = this.#sql;
    const [[row], routes] = await asking(sql, () =>
      sql.begin("isolation level read committed read only", (tx) => {
        // Sent now: without `execute` it is sent when it is first awaited, which is after the links.
        const position = tx<{ replayed: number | null }[]>`
          SELECT CASE WHEN pg_is_in_recovery() THEN (pg_last_wal_replay_lsn() - '0/0')::bigint END AS replayed`.execute();
        return Promise.all([position, new PostgresLinkStore(tx).findRoutes(codes)]);
      }),
    );
    if (row === undefined || row.replayed === null)
      throw new AppError("TEMPORARILY_UNAVAILABLE", "The replica replays nothing.");
    return { replayed: row.replayed, routes };
  }
}
