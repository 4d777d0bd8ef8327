/** Risks in a node's configuration, from the configuration alone. */
import type { Genesis } from '#src/types/genesis.ts';
import type { Config } from '../config.ts';
import { type Finding, note, risk } from './finding.ts';

export type SettingFacts = {
  readonly config: Config;
  readonly genesis: Genesis;
  readonly isValidator: boolean;
  /** Keys of `access.json` with the operator's role, or a secret for tokens. */
  readonly hasOperatorKey: boolean;
  readonly cores: number;
};

const loopback = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/;
/** Below it a compaction of the database can meet a full disk. */
const reserveMebibytesMin = 64;
/** Members who look at the past: bits 7 and 8 of their roles (payments.md 2.1). */
const supervisorAndAuditor = 0b1_1000_0000;

export function checkSettings(facts: SettingFacts): Finding[] {
  const { config, genesis, isValidator } = facts;
  const found = [...checkPublicDoor(config), ...checkOperatorDoor(facts)];
  const reserve = config['storage.reserveMebibytes'];
  if (reserve < reserveMebibytesMin) {
    found.push(
      risk('RESERVE_SMALL', {
        what: `storage.reserveMebibytes is ${reserve}`,
        why: 'the database may meet the end of the disk in the middle of its own work',
        fix: 'storage.reserveMebibytes = 256',
      }),
    );
  }
  if (config['crypto.recoveryThreads'] === '0' && facts.cores > 1) {
    found.push(
      risk('THREADS_NONE', {
        what: `crypto.recoveryThreads is 0 on ${facts.cores} cores`,
        why: 'signatures of payments are verified on the thread that votes',
        fix: 'crypto.recoveryThreads = "auto"',
      }),
    );
  }
  if (config['crypto.secp256k1'] === 'noble') {
    found.push(
      risk('CRYPTO_SLOW', {
        what: 'crypto.secp256k1 is noble',
        why: 'a signature takes twenty times as long: few payments fill a core',
        fix: 'crypto.secp256k1 = "auto"',
      }),
    );
  }
  if (config['log.level'] === 'error') {
    found.push(
      risk('LOG_QUIET', {
        what: 'log.level is error',
        why: 'warnings, starts and refused keys are not written down',
        fix: 'log.level = "info"',
      }),
    );
  }
  const auditors = genesis.members.filter(({ roles }) => (roles & supervisorAndAuditor) !== 0);
  if (auditors.length > 0 && !config['storage.archive']) {
    found.push(
      note('ARCHIVE_OFF', {
        what: `storage.archive is off, and ${auditors.map(({ id }) => id).join(', ')} audits`,
        why: 'states older than 128 blocks are not answered for: somebody has to keep them',
        fix: 'storage.archive = true on one node at least, from genesis on',
      }),
    );
  }
  if (isValidator && config['consensus.signer'] === '') {
    found.push(
      note('SIGNER_INSIDE', {
        what: 'consensus.signer is not set',
        why: 'the key that votes is in the process that the network talks to',
        fix: 'mpbp signer holds it in a process of its own (docs/consensus.md)',
      }),
    );
  }
  return found;
}

function checkPublicDoor(config: Config): Finding[] {
  const found: Finding[] = [];
  for (const [name, code] of [
    ['rpc.hosts', 'HOSTS_ANY'],
    ['rpc.origins', 'ORIGINS_ANY'],
  ] as const) {
    if (!config[name].includes('*')) continue;
    const isHosts = name === 'rpc.hosts';
    found.push(
      risk(code, {
        what: `${name} has *`,
        why: isHosts
          ? 'a page in a browser reaches the node through a name of its own (DNS rebinding)'
          : 'every page in a browser may read and send through this node',
        fix: `list the names in ${name}`,
      }),
    );
  }
  const host = config['rpc.host'];
  const isOpen = !loopback.test(host);
  if (isOpen && config['rpc.tlsCertificate'] === '') {
    found.push(
      risk('RPC_PLAIN', {
        what: `rpc.host is ${host}, without TLS`,
        why: 'keys and payments can be read and answers be forged on the way',
        fix: 'rpc.tlsCertificate and rpc.tlsKey, or 127.0.0.1 behind a proxy with TLS',
      }),
    );
  }
  if (isOpen && config['rpc.anonymous']) {
    found.push(
      note('RPC_ANONYMOUS', {
        what: `rpc.host is ${host}, and callers need no key`,
        why: `each address may ask for ${config['rpc.anonymousUnitsPerSecond']} units a second`,
        fix: 'rpc.anonymous = false and mpbp access new, or leave it so',
      }),
    );
  }
  if (isOpen && config['rpc.debug']) {
    found.push(
      risk('DEBUG_OPEN', {
        what: `rpc.host is ${host}, and rpc.debug is on`,
        why: 'a trace runs a whole block again, for whoever asks',
        fix: 'rpc.debug = false, and operator.port or an operator key for those who trace',
      }),
    );
  }
  const strangers = config['rpc.unlimited'].filter((address) => !loopback.test(address));
  if (strangers.length > 0) {
    found.push(
      risk('UNLIMITED', {
        what: `rpc.unlimited has ${strangers.join(', ')}`,
        why: 'whoever asks from there may use up the whole node',
        fix: 'give them a key with a rate of its own: mpbp access new NAME --rate UNITS',
      }),
    );
  }
  return found;
}

function checkOperatorDoor({ config, hasOperatorKey }: SettingFacts): Finding[] {
  if (config['operator.port'] === 0) return [];
  const host = config['operator.host'];
  if (!loopback.test(host)) {
    return [
      risk('OPERATOR_OPEN', {
        what: `operator.host is ${host}`,
        why: "the operator's port is for this machine; from a network its key is all that holds",
        fix: 'operator.host = "127.0.0.1" and a tunnel, or a firewall for all but the watchers',
      }),
    ];
  }
  if (hasOperatorKey) return [];
  return [
    note('OPERATOR_NO_KEY', {
      what: `operator.port ${config['operator.port']} asks for no key`,
      why: 'every user of this machine can read it',
      fix: 'mpbp access new NAME --operator',
    }),
  ];
}
