import type { Log } from '#src/lib/log.ts';
import { AuditLog, lastAct, readAuditLog } from '#storage/auditLog.ts';
import { type Effective, type SettingName, settingNames } from './config.ts';

type Detail = Readonly<Record<string, unknown>>;

/**
 * What a node writes about itself into `audit.log`. Where that cannot be written the node goes on
 * and says so: a ledger that stands still because of its diary would be the worse failure.
 */
export class NodeAudit {
  readonly #file: AuditLog;
  readonly #log: Log;

  constructor(dataDir: string, log: Log) {
    this.#file = new AuditLog(dataDir);
    this.#log = log;
  }

  /** Never rejects. The hash goes to the log too: kept elsewhere, it shows what is cut off. */
  async tell(act: string, detail: Detail = {}): Promise<void> {
    try {
      const { seq, hash } = await this.#file.append(act, detail);
      this.#log.info('audited', { act, seq, hash });
    } catch (error) {
      this.#log.error('an act is not in the audit log', { act, reason: String(error) });
    }
  }
}

/** Is the record of earlier acts whole? What is broken stays, and is said at each start. */
export function checkAuditLog(dataDir: string, log: Log): void {
  try {
    const { broken } = readAuditLog(dataDir);
    if (broken === null) return;
    log.error('the audit log was changed or damaged', { ...broken, remedy: 'mpbp audit log DIR' });
  } catch (error) {
    log.error('the audit log cannot be read', { reason: String(error) });
  }
}

/** Those that are not the defaults; secrets are in files, which settings only name. */
export function settingsShown({ config, origins }: Effective): Record<string, string> {
  const shown: Record<string, string> = {};
  for (const name of settingNames) {
    const value = config[name];
    if (origins[name] !== 'default') shown[name] = Array.isArray(value) ? value.join() : `${value}`;
  }
  return shown;
}

/** Those that `mpbp.toml` does not say: of this start's flags and environment. */
export function settingsGiven({ origins }: Effective): SettingName[] {
  return settingNames.filter((name) => ['flag', 'environment'].includes(origins[name]));
}

/** `name: [before, after]` against the start before this one; null: as before, or the first. */
export function settingsChanged(
  dataDir: string,
  settings: Readonly<Record<string, string>>,
): Record<string, [string | null, string | null]> | null {
  const before = lastAct(dataDir, 'start')?.detail.settings as Record<string, string> | undefined;
  if (before === undefined) return null;
  const changed: Record<string, [string | null, string | null]> = {};
  for (const name of new Set([...Object.keys(before), ...Object.keys(settings)])) {
    const [was, is] = [before[name] ?? null, settings[name] ?? null];
    if (was !== is) changed[name] = [was, is];
  }
  return Object.keys(changed).length === 0 ? null : changed;
}
