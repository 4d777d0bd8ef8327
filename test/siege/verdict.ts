import type { PoolSiege } from './pool.ts';
import type { SiegeReport } from './siege.ts';

const honestP95MsMax = 1_000;
const intervalTimesMax = 2;
/** Shorter intervals than this nobody notices: a scheduler's turn more is no broken promise. */
const intervalMsMin = 60;
const rssMiBMax = 1_024;

/** Promises that were not kept and have nothing to do with speed (reliability R2, R3, R5). */
export function lostBy({ during, attackers, deaths }: SiegeReport): string[] {
  const { blocks, honestFailed, rssMaxMiB } = during;
  return [
    ...deaths,
    ...unless(blocks > 0, 'no block under siege'),
    ...unless(honestFailed === 0, `an honest client was refused ${honestFailed} times`),
    ...unless(rssMaxMiB <= rssMiBMax, `${rssMaxMiB.toFixed(0)} MiB resident`),
    ...unless(attackers['slow: lived too long'] === undefined, 'slow sockets live longer'),
    ...unless((attackers['flood: 429'] ?? 0) > 0, 'a flood is not told to stop'),
  ];
}

/** All of them; only on a machine that does nothing else. */
export function brokenBy(report: SiegeReport): string[] {
  const { before, during, after } = report;
  const most = intervalTimesMax * Math.max(before.intervalP95, intervalMsMin);
  const late = ({ intervalP95 }: typeof during, when: string) =>
    unless(intervalP95 <= most, `${intervalP95.toFixed(0)} ms between blocks ${when}`);
  const slow = ({ honestP95 }: typeof during, when: string) =>
    unless(
      honestP95 <= honestP95MsMax,
      `an honest client waits ${honestP95.toFixed(0)} ms ${when}`,
    );
  return [
    ...lostBy(report),
    ...late(during, 'under siege'),
    ...slow(during, 'under siege'),
    ...late(after, 'after it'),
    ...slow(after, 'after it'),
  ];
}

/** Of the pools (reliability P1). */
export function brokenPools({ honest, calmP95, siegeP95, deaths }: PoolSiege): string[] {
  const { sent, final } = honest;
  const most = intervalTimesMax * Math.max(calmP95, intervalMsMin);
  return [
    ...deaths,
    ...unless(final === sent, `${sent - final} of ${sent} honest payments are not final`),
    ...unless(siegeP95 <= most, `honest payments take ${siegeP95.toFixed(0)} ms among attackers`),
  ];
}

function unless(kept: boolean, what: string): string[] {
  return kept ? [] : [what];
}
