/**
 * Watches the event loop. A turn that takes long is told in the log; where none ends for half a
 * minute, a thread beside it ends the process, because a node that hangs is worse than one that is
 * started again. The thread counts its own turns and not the time: a process that was paused as a
 * whole, or a machine that slept, has not hung.
 */
import type { EventEmitter } from 'node:events';
import { Worker } from 'node:worker_threads';
import { EXIT } from '#src/lib/failure.ts';
import type { Log } from '#src/lib/log.ts';
import { stalls } from '#src/lib/measures.ts';

export type WatchdogLimits = {
  /** Between two signs of life, and two looks for them. */
  readonly turnMs: number;
  /** From here on a turn is told in the log. */
  readonly stallWarnMs: number;
  /** Without a sign of life the process ends. */
  readonly stallEndMs: number;
  /** For its last words; then it is killed, which has no exit code. */
  readonly lastWordsMs: number;
};

export const watchdogLimits: WatchdogLimits = {
  turnMs: 250,
  stallWarnMs: 2_000,
  stallEndMs: 30_000,
  lastWordsMs: 5_000,
};

const LAST_WORDS = 'mpbp:stalled';

/**
 * Plain JavaScript, so that no compiler is loaded for it. The inspector is the one way to run a
 * line on a thread that is inside a loop or a wait; where even that fails it is in a system call.
 */
const PROGRAM = `
const { workerData: { turns, turnMs, stallEndMs, lastWordsMs } } = require('node:worker_threads');
let seen = 0;
let missed = 0;
const look = setInterval(() => {
  const now = Atomics.load(turns, 0);
  missed = now === seen ? missed + 1 : 0;
  seen = now;
  if (missed * turnMs < stallEndMs) return;
  clearInterval(look);
  const { Session } = require('node:inspector');
  const session = new Session();
  session.connectToMainThread();
  session.post('Runtime.evaluate', { expression: "process.emit('${LAST_WORDS}')" });
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), lastWordsMs);
}, turnMs);
`;

export function startWatchdog(log: Log, limits: WatchdogLimits = watchdogLimits): void {
  const turns = new Int32Array(new SharedArrayBuffer(4));
  const { turnMs, stallWarnMs, stallEndMs } = limits;
  let last = performance.now();
  const beat = setInterval(() => {
    Atomics.add(turns, 0, 1);
    const now = performance.now();
    const ms = Math.round(now - last - turnMs);
    last = now;
    if (ms < stallWarnMs) return;
    stalls.tell({ ms });
    log.warn('event loop stalled', { ms });
  }, turnMs);
  beat.unref();
  (process as EventEmitter).once(LAST_WORDS, () => {
    // What hangs is below this on the stack.
    const stack = new Error('here').stack ?? '';
    log.error('stopped', { reason: `no turn of the event loop for ${stallEndMs} ms`, stack });
    process.exit(EXIT.watchdog);
  });
  const thread = new Worker(PROGRAM, {
    eval: true,
    execArgv: [],
    workerData: { turns, ...limits },
  });
  thread.unref();
}
