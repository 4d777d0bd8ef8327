/** Risks of the machine, from what Linux tells in /proc; elsewhere nothing is looked at. */
import { existsSync, readFileSync } from 'node:fs';
import { type Finding, risk } from './finding.ts';

export type MachineFacts = {
  /** Null where the system has none. */
  readonly uid: number | null;
  /** Texts of /proc/self/limits and /proc/swaps; empty where there are none. */
  readonly limits: string;
  readonly swaps: string;
};

/** Connections, files of the database and sockets of peers together. */
const openFilesMin = 4_096;

export function readMachine(): MachineFacts {
  const text = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : '');
  return {
    uid: process.getuid?.() ?? null,
    limits: text('/proc/self/limits'),
    swaps: text('/proc/swaps'),
  };
}

export function checkMachine({ uid, limits, swaps }: MachineFacts): Finding[] {
  const found: Finding[] = [];
  if (uid === 0) {
    found.push(
      risk('ROOT', {
        what: 'this is root',
        why: 'a fault in the node is then a fault in the whole machine',
        fix: 'run the node as a user of its own',
      }),
    );
  }
  const files = limitOf(limits, 'Max open files', 'hard');
  if (files !== null && files < openFilesMin) {
    found.push(
      risk('OPEN_FILES', {
        what: `ulimit -Hn is ${files}`,
        why: 'a node that runs out of descriptors drops peers and clients, and cannot write',
        fix: 'LimitNOFILE=65536 in its unit, or ulimit -n 65536 before it starts',
      }),
    );
  }
  const core = limitOf(limits, 'Max core file size', 'soft');
  if (core !== null && core > 0) {
    found.push(
      risk('CORE_DUMPS', {
        what: 'ulimit -c is not 0',
        why: 'a crash would write the keys in memory to the disk',
        fix: 'LimitCORE=0 in its unit, or ulimit -c 0 before it starts',
      }),
    );
  }
  const swap = swaps.split('\n').filter((line) => /^\//.test(line) && !/^\/dev\/zram/.test(line));
  if (swap.length > 0) {
    found.push(
      risk('SWAP', {
        what: `swap is on: ${swap.map((line) => line.split(/\s/)[0]).join(', ')}`,
        why: 'keys in memory can be written to the disk, and a node that swaps votes late',
        fix: 'swapoff -a, or MemorySwapMax=0 in its unit',
      }),
    );
  }
  return found;
}

/** A figure of /proc/self/limits; infinity where it is unlimited, null where it is not told. */
function limitOf(limits: string, name: string, which: 'soft' | 'hard'): number | null {
  const line = limits.split('\n').find((text) => text.startsWith(`${name} `));
  const [soft, hard] = line?.slice(name.length).trim().split(/\s+/) ?? [];
  const text = which === 'soft' ? soft : hard;
  if (text === undefined) return null;
  return text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text);
}
