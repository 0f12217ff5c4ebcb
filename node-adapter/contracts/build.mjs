// Compiles contracts/src with the pinned Solidity compiler and writes one artifact per deployable contract or interface
// to contracts/artifacts; with --check compares instead of writing. Called by scripts/build-contracts.sh.
//
// The output depends on the sources, this file, the compiler's version and OpenZeppelin's alone: sources are named relative
// to this folder, no metadata is appended to the bytecode, and keys are written in a fixed order. Artifacts mirror the
// folders of src/. Imports of `@openzeppelin/contracts` come from the tools folder; only our own contracts get an artifact,
// so a contract of theirs that we deploy is one of ours that inherits it.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const [modules, mode] = process.argv.slice(2)
if (!modules || (mode !== undefined && mode !== '--check')) {
  console.error('usage: node build.mjs <node_modules with solc> [--check]; scripts/build-contracts.sh finds the folder')
  process.exit(2)
}

const pins = join(here, '..', '..', 'scripts', 'tools', 'package.json')
const dependencies = JSON.parse(readFileSync(pins, 'utf8')).dependencies
for (const name of ['solc', '@openzeppelin/contracts']) {
  const installed = join(modules, name, 'package.json')
  const version = existsSync(installed) ? JSON.parse(readFileSync(installed, 'utf8')).version : 'no version'
  if (version !== dependencies[name]) {
    console.error(`${name} is pinned to ${dependencies[name]}, ${version} is installed: run \`make setup\``)
    process.exit(2)
  }
}
const solcRoot = join(modules, 'solc')
const require = createRequire(join(solcRoot, 'package.json'))
const solc = require(join(solcRoot, 'index.js'))

// Settling is called often, deployed once; with a million runs RollupChain does not fit the 24,576 bytes that L1 allows.
const RUNS = 10_000
// What does not fit with as many.
const FEWER_RUNS = { 'src/bridge/SharedBridge.sol': 200, 'src/rollup/RollupChain.sol': 1_000, 'src/test/ChainV2.sol': 1_000 }
const settings = (runs) => ({
  evmVersion: 'prague', // the first hard fork with the BLS12-381 precompiles
  viaIR: true,
  optimizer: { enabled: true, runs },
  metadata: { appendCBOR: false, bytecodeHash: 'none' },
})
// All files below a folder with this ending, as paths relative to it with forward slashes, sorted.
const filesIn = (folder, ending) =>
  readdirSync(folder, { recursive: true })
    .map((name) => name.split(sep).join('/'))
    .filter((name) => name.endsWith(ending))
    .sort()
const sources = Object.fromEntries(
  filesIn(join(here, 'src'), '.sol').map((name) => [
    `src/${name}`,
    { content: readFileSync(join(here, 'src', name), 'utf8') },
  ]),
)
const findImport = (path) =>
  path.startsWith('@openzeppelin/contracts/') && existsSync(join(modules, path))
    ? { contents: readFileSync(join(modules, path), 'utf8') }
    : { error: 'not a source of this folder and not of @openzeppelin/contracts' }
// The contracts of these sources, with as many runs.
const compile = (runs, wanted) => {
  const parts = { '*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] }
  const outputSelection = Object.fromEntries(wanted.map((source) => [source, parts]))
  const input = { language: 'Solidity', sources, settings: { ...settings(runs), outputSelection } }
  const { errors, contracts } = JSON.parse(solc.compile(JSON.stringify(input), { import: findImport }))
  return { errors: errors ?? [], contracts: Object.entries(contracts ?? {}), settings: settings(runs) }
}
const passes = [
  compile(RUNS, Object.keys(sources).filter((source) => !(source in FEWER_RUNS))),
  ...Object.entries(FEWER_RUNS).map(([source, runs]) => compile(runs, [source])),
]
// A warning about a line of OpenZeppelin's (transient storage in their reentrancy guard) is not ours to fix.
const problems = passes
  .flatMap(({ errors }) => errors)
  .filter(({ severity, sourceLocation }) => severity === 'error' || !sourceLocation?.file.startsWith('@openzeppelin/'))
for (const problem of problems) console.error(problem.formattedMessage)
if (problems.length > 0) {
  console.error('the contracts must compile without errors and without warnings')
  process.exit(1)
}

const artifacts = new Map()
const compiled = passes.flatMap(({ contracts, settings }) => contracts.map((entry) => [...entry, settings]))
for (const [source, contracts, settings] of compiled) {
  if (!source.startsWith('src/')) continue
  for (const [contractName, { abi, evm }] of Object.entries(contracts)) {
    const artifact = {
      contractName,
      sourceName: source,
      compiler: { version: solc.version(), settings },
      abi,
      bytecode: `0x${evm.bytecode.object}`,
      deployedBytecode: `0x${evm.deployedBytecode.object}`,
    }
    const place = source.slice('src/'.length).split('/').slice(0, -1)
    artifacts.set([...place, `${contractName}.json`].join('/'), `${JSON.stringify(artifact, null, 2)}\n`)
  }
}

const folder = join(here, 'artifacts')
mkdirSync(folder, { recursive: true })
const committed = new Set(filesIn(folder, '.json'))
if (mode === '--check') {
  const stale = [...artifacts].filter(
    ([name, text]) => !committed.has(name) || readFileSync(join(folder, name), 'utf8') !== text,
  )
  const extra = [...committed].filter((name) => !artifacts.has(name))
  for (const [name] of stale) console.error(`artifacts/${name} is not what the sources compile to`)
  for (const name of extra) console.error(`artifacts/${name} has no source`)
  if (stale.length + extra.length > 0) {
    console.error('run scripts/build-contracts.sh and commit node-adapter/contracts/artifacts')
    process.exit(1)
  }
  console.log(`${artifacts.size} artifacts are reproduced by solc ${solc.version()}`)
} else {
  for (const name of committed) if (!artifacts.has(name)) rmSync(join(folder, name))
  for (const [name, text] of artifacts) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
    const { deployedBytecode } = JSON.parse(text)
    console.log(`artifacts/${name}: ${(deployedBytecode.length - 2) / 2} bytes of code`)
  }
}
