// The migrator: the keeper's child, which applies migrations or puts a database back, and ends.

export async function runMigrator(): Promise<number> {
  const { runTask } = await import("../prisma/migrator.ts");
  const parent = process.ppid;
  const surroundings = {
    environment: process.env,
    tell: (news: object) => void process.send?.(news, () => {}),
    isOrphan: () => process.ppid !== parent, // told by the system: while SQLite works, no event gets through
  };
  process.on("disconnect", () => process.exit(1)); // a process that ends by itself would close SQLite, and checkpoint
  return new Promise((resolve) => {
    process.once("message", async (task: Parameters<typeof runTask>[0]) => {
      const answer = await runTask(task, surroundings);
      if (process.send?.(answer, () => resolve(0)) === undefined) resolve(1);
    });
  });
}
