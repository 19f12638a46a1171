// One thing at a time: calls wait for those before them.

export type Serial = <Result>(work: () => Promise<Result>) => Promise<Result>;

/** Makes a queue. A call that fails does not keep the next from running. */
export function createSerial(): Serial {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(work, work);
    last = mine.catch(() => {});
    return mine;
  };
}
