// The refusals, one row each: the only place where causes and remedies are written down.
// scripts/generate-docs makes docs/errors.md of what `epigraph explain --list --json` prints.
#include "runtime/base/ErrorCode.h"

namespace epigraph {
namespace {

using enum ExitCode;

constexpr ErrorInfo kCatalog[] = {
    {ErrorCode::Usage, ExitCode::Usage, "Run with --help for more information.",
     "an unknown flag, a missing argument, or a value that a flag does not take",
     "see --help of the command", "epigraph compile --help"},
    {ErrorCode::UnknownPhase, ExitCode::Usage, "… is not one of …",
     "--stop-after, --start-phase or --insert-pass name a phase that does not exist",
     "one of the phases that the message lists",
     "epigraph compile MODEL_DIR --stop-after partition"},
    {ErrorCode::UnknownPass, ExitCode::Usage, "no pass of the pipeline is called that; …",
     "--disable-pass names no pass that a compilation runs",
     "one of the passes that the message lists",
     "epigraph compile MODEL_DIR -o NAME.epi --disable-pass=epi-fuse-swiglu"},
    {ErrorCode::NeededPass, ExitCode::Usage, "this pass cannot be left out: …",
     "--disable-pass names a pass that lowers the graph; without it there is nothing to run",
     "leave out only passes that optimise; the message lists them",
     "epigraph compile MODEL_DIR -o NAME.epi --optimize=none"},
    {ErrorCode::BadInsertedPass, ExitCode::Usage,
     "expected NAME@PHASE or NAME{options}@PHASE\n"
     "--insert-pass=…: the phase pack writes files and runs no passes; …\n"
     "--insert-pass=…: …, and those of a plugin need --load-pass-plugin",
     "--insert-pass is not of that form, or names a pass or an option that does not exist",
     "`epigraph-opt --help` lists passes with their options; load the plugin that has the pass",
     "epigraph compile MODEL_DIR -o NAME.epi --load-pass-plugin=./MyPass.so "
     "--insert-pass=my-pass@fuse"},
    {ErrorCode::BadPlugin, ExitCode::Usage,
     "--load-pass-plugin=…: …; build it against this version of Epigraph, …",
     "the file is missing, is no shared object, needs symbols that this Epigraph does not have, or "
     "is "
     "no MLIR pass plugin",
     "build the plugin against this version (docs/how-to/write-a-pass.md)",
     "epigraph-opt --load-pass-plugin=./MyPass.so --help"},
    {ErrorCode::OutputIsKept, BadInput,
     "output '…' exists and is not an Epigraph artifact; remove it or choose another name",
     "-o names something else, which is kept", "another name",
     "epigraph compile MODEL_DIR -o NAME.epi"},
    {ErrorCode::NoOutputFolder, BadInput, "output '…': the folder '…' does not exist; create it",
     "the folder that should hold the artifact is not there", "create it",
     "mkdir -p out && epigraph compile MODEL_DIR -o out/NAME.epi"},
    {ErrorCode::BadLimit, ExitCode::Usage,
     "--ep is …; expected 1 to …\n"
     "--max-batch-tokens, --max-seqs and --max-context must be positive …\n"
     "--max-context is …, but the model was made for … positions; give at most that\n"
     "--fusion-level is …; expected 0 to …",
     "a number is outside of its range", "a number that the message allows",
     "epigraph compile MODEL_DIR -o NAME.epi --max-context 4096"},
    {ErrorCode::WrongStartPhase, ExitCode::Usage,
     "the IR has …, so --start-phase must be …, not …\n"
     "--stop-after … comes before --start-phase …\n"
     "--start-from stands in place of the phase import, …",
     "the IR of --start-from has been through other phases than --start-phase supposes",
     "the phase after the one that wrote the file",
     "epigraph compile MODEL_DIR -o NAME.epi --start-from=02-fuse.mlir --start-phase=quantize"},
    {ErrorCode::UnknownErrorCode, ExitCode::Usage, "there is no error '…'; …",
     "`epigraph explain` was given something else than the code of a message",
     "a code as in [E0107]; --list prints all", "epigraph explain E0107"},

    {ErrorCode::NoCheckpoint, BadInput, "checkpoint '…' is not a folder; expected one that holds …",
     "a wrong path", "name the folder that holds config.json",
     "epigraph compile models/tiny-deepseek-v3 -o x.epi"},
    {ErrorCode::NoSafetensors, BadInput,
     "checkpoint '…' holds neither … nor …; other formats must be converted to safetensors",
     "PyTorch's .bin files, or shards without their index", "convert them, or fetch the index",
     "ls MODEL_DIR/model.safetensors.index.json"},
    {ErrorCode::BadConfig, BadInput,
     "…: expected a JSON object, found …\n"
     "… is …; expected …",
     "config.json or generation_config.json is something else, or a key of it is missing, of the "
     "wrong type or out of its range",
     "fetch it again, or correct the key", "python3 -m json.tool MODEL_DIR/config.json"},
    {ErrorCode::WrongTensors, BadInput,
     "… its tensors are not those that its config.json describes …",
     "tensors are missing, extra, of another shape or another type; the message names them",
     "fetch the checkpoint again, or correct config.json",
     "epigraph compile MODEL_DIR --stop-after import"},
    {ErrorCode::BadSafetensors, BadInput,
     "… the file may be truncated\n"
     "the header claims … bytes; …\n"
     "header: …\n"
     "… (it overlaps another tensor)\n"
     "… (there is a hole)\n"
     "… bytes follow the last tensor; expected none",
     "an interrupted download, or a file that something broken wrote: a header that the format "
     "forbids, sizes that overflow, tensors that do not fill the file exactly",
     "fetch the file again", "sha256sum MODEL_DIR/*.safetensors"},
    {ErrorCode::WrongIndex, BadInput,
     "… is in both … and …\n"
     "… but not in the index\n"
     "… should be in … but is not\n"
     "…: weight_map is empty",
     "model.safetensors.index.json and the shards disagree", "fetch both again",
     "ls MODEL_DIR/*.safetensors MODEL_DIR/*.index.json"},

    {ErrorCode::UnsupportedModel, Unsupported, "… which is not supported; …",
     "a model or a variant that Epigraph does not have: another model_type, a rope type, a way "
     "of quantizing weights",
     "the message names what is supported", "grep model_type MODEL_DIR/config.json"},
    {ErrorCode::UnevenExperts, Unsupported,
     "… experts, which … ranks cannot share equally; choose a number of ranks that divides them: "
     "…\n"
     "… heads…, which … ranks cannot share equally; choose a number of ranks that divides them: …\n"
     "… dimension of …; choose a number of ranks that divides it: …\n"
     "… experts, with … replicas … slots, which … ranks cannot share equally; choose a number of "
     "replicas such as …",
     "--ep does not divide the number of experts with their replicas, or --tp neither heads nor an "
     "inner dimension",
     "one of the numbers that the message lists", "epigraph compile MODEL_DIR -o NAME.epi --ep 4"},
    {ErrorCode::UnknownTarget, Unsupported,
     "target '…': no x86-64 CPU of that name; known are …\n"
     "target '…' is neither a CPU nor a GPU; …",
     "--target names no processor", "a name that the message lists, or cpu",
     "epigraph compile MODEL_DIR -o NAME.epi --target cpu:x86-64-v3"},
    {ErrorCode::TargetTooOld, Unsupported,
     "target '…' lacks …; kernels need the features of x86-64-v3 (AVX2 and FMA); …",
     "a target, or machine, that is too old", "another target",
     "epigraph compile MODEL_DIR -o NAME.epi --target cpu:x86-64-v3"},
    {ErrorCode::BadTargetFile, BadInput, "target description …",
     "the file that --target names cannot be read, has an unknown key, or a number out of its "
     "range",
     "the message names the key and what is expected; docs/targets.md has all keys",
     "epigraph doctor --json > this.json"},
    {ErrorCode::CutScaleBlock, Unsupported,
     "… has an FP8 weight of which each of … ranks would hold …; that cuts 128x128 blocks, which "
     "have "
     "one scale each",
     "--tp (or --ep, where both share a projection) cuts a weight inside the blocks of its FP8 "
     "scales",
     "a number of ranks whose parts are multiples of 128, or divide 128",
     "epigraph compile MODEL_DIR -o NAME.epi --ep 4"},

    {ErrorCode::UnreadableIr, BadInput, "cannot read …",
     "the file is no IR of this version, or IR that breaks a constraint of an operation",
     "the message names the place; docs/dialects has the constraints", "epigraph-opt FILE.mlir"},
    {ErrorCode::NotAModel, BadInput,
     "the module has no … attribute, so it is no model; …\n"
     "the sizes of epi.model and exec.limits must be positive 32-bit numbers\n"
     "the module has no function @main with a body",
     "the IR parses, but lacks what every compilation starts with",
     "start from a file that --dump-phases or --stop-after wrote",
     "epigraph compile MODEL_DIR --stop-after fuse -o fused.mlir"},
    {ErrorCode::WrongWeights, BadInput,
     "the IR names weights that the checkpoint does not have as they are; …",
     "the IR was imported from another checkpoint, or its weights were edited",
     "give the checkpoint that the IR was imported from",
     "epigraph compile MODEL_DIR -o NAME.epi --start-from=FILE --start-phase=PHASE"},
    {ErrorCode::WrongMesh, BadInput, "the IR is for …; give …",
     "--ep, --attention or --compute differ from what the IR of --start-from was compiled with",
     "repeat the flags that the IR was compiled with",
     "epigraph compile MODEL_DIR -o NAME.epi --start-from=05-partition.mlir --start-phase=schedule "
     "--ep 4"},
    {ErrorCode::PassFailed, Internal,
     "… to replay the failing pass: …\n"
     "…: the pass … crashed",
     "a pass failed or crashed on IR that it should accept: a bug, of the plugin if the pass is a "
     "plugin's",
     "replay the reproducer with the line that the message gives; report it with that file",
     "epigraph-opt --run-reproducer epigraph-reproducer-epi-fuse-swiglu.mlir"},

    {ErrorCode::NotAnArtifact, BadInput,
     "artifact '…' is not a folder; expected what epigraph compile wrote", "a wrong path",
     "name the folder NAME.epi", "epigraph run NAME.epi --ids 0"},
    {ErrorCode::WrongFileSize, BadInput,
     "… bytes; the manifest says …; copy or compile the artifact again",
     "a file was cut off or replaced", "copy it again", "epigraph inspect NAME.epi --verify"},
    {ErrorCode::WrongDigest, BadInput, "… has sha256 …; the manifest says …",
     "a file was changed; weights are hashed only with --verify", "copy it again",
     "epigraph inspect NAME.epi --verify"},
    {ErrorCode::MixedArtifact, BadInput,
     "the manifest says …, the plan …\n"
     "model.has_mtp and the plan's functions disagree",
     "files of two artifacts were mixed", "compile it again",
     "epigraph compile MODEL_DIR -o NAME.epi"},
    {ErrorCode::MissingFeature, Unsupported,
     "this CPU lacks …, which the artifact's kernels were compiled for …",
     "the artifact was compiled for a newer processor", "compile with the --target of this machine",
     "epigraph compile MODEL_DIR -o NAME.epi --target cpu"},
    {ErrorCode::NoDriver, Unsupported, "this runtime has no driver for target '…'; …",
     "the artifact was compiled for another kind of device", "compile with --target cpu",
     "epigraph compile MODEL_DIR -o NAME.epi --target cpu"},
    {ErrorCode::DoesNotFit, Resources,
     "the model does not fit: … needs …\n"
     "the plan needs more memory than any machine has; …",
     "weights, activations and caches exceed --memory-pool-size, or the machine",
     "the message says how much is needed, and which context would fit",
     "epigraph compile MODEL_DIR -o NAME.epi --max-context 1024"},
    {ErrorCode::BadKernelLibrary, BadInput,
     "kernel library … cannot be loaded: …\n"
     "kernel library … has no kernel '…', …",
     "kernels.so is no shared object of this system", "compile it again",
     "epigraph compile MODEL_DIR -o NAME.epi"},
    {ErrorCode::UnsupportedTokenizer, Unsupported, "… is not supported; expected BPE",
     "tokenizer.json asks for something else than byte-level BPE; the message names the key",
     "run with token ids", "epigraph run NAME.epi --ids 0,328"},
    {ErrorCode::BadPlan, BadInput, "", "plan.fb was changed, or written by something else",
     "compile it again", "epigraph compile MODEL_DIR -o NAME.epi"},
    {ErrorCode::BadManifest, BadInput, "",
     "manifest.json was changed, or is of another version of the format", "compile it again",
     "epigraph compile MODEL_DIR -o NAME.epi"},
    {ErrorCode::NoGpu, Unsupported, "this machine has no usable NVIDIA GPU: …",
     "an artifact for CUDA on a machine without a GPU or without NVIDIA's driver, or with all GPUs "
     "hidden by CUDA_VISIBLE_DEVICES",
     "run it where `epigraph doctor` finds a GPU; in a container, pass the GPUs on",
     "epigraph doctor"},
    {ErrorCode::DriverTooOld, Unsupported,
     "the NVIDIA driver of this machine is for CUDA …, and the artifact's kernels need CUDA …",
     "an old driver", "install the driver that the message names, or a later one",
     "epigraph doctor"},
    {ErrorCode::WrongGpu, Unsupported,
     "GPU … (…) has compute capability …, and the artifact's kernels were compiled for …; …",
     "the artifact was compiled for another generation of GPUs",
     "run it on a GPU that has what the message names", "epigraph doctor"},
    {ErrorCode::TooFewGpus, Unsupported,
     "local rank … needs a GPU of its own, and this process sees …; …",
     "more ranks on this machine than GPUs, or a launcher that shows each rank one GPU only",
     "start as many ranks as there are GPUs, and let every rank see all of them",
     "mpirun -n 2 epigraph run NAME.epi --prompt TEXT"},
    {ErrorCode::NotLinked, Unsupported, "GPU … cannot reach the memory of another rank's GPU; …",
     "--peer-memory gpu, and these GPUs have no link that allows it",
     "leave --peer-memory out, or choose GPUs that are linked (CUDA_VISIBLE_DEVICES)",
     "epigraph doctor"},
    {ErrorCode::NoNccl, Unsupported, "ranks exchange rows through NCCL, and …; …",
     "several ranks on GPUs of a machine without NCCL, or with an old one",
     "install the version that the message names, or a later one", "epigraph doctor"},

    {ErrorCode::PromptTooLong, Resources,
     "… tokens, and the artifact was compiled for a context of …",
     "a prompt longer than the context; refused before anything runs",
     "shorten it, or compile with a larger --max-context",
     "epigraph compile MODEL_DIR -o NAME.epi --max-context 8192"},
    {ErrorCode::CachesTooSmall, Resources, "… needs caches for … tokens, and there is room for …",
     "the caches that fit into the memory are too small for this sequence",
     "shorten it, or raise --memory-pool-size",
     "epigraph run NAME.epi --prompt TEXT --memory-pool-size 8G"},
    {ErrorCode::OutsideVocabulary, BadInput, "… is outside the vocabulary of …",
     "a token id that the model does not have", "ids of this model's tokenizer",
     "epigraph run NAME.epi --ids 0,328"},
    {ErrorCode::EmptyPrompt, BadInput, "… has no tokens; expected at least one",
     "an empty prompt, and a tokenizer that adds nothing", "a prompt",
     "epigraph run NAME.epi --prompt TEXT"},
    {ErrorCode::NoTokenizer, BadInput,
     "… has no …: its checkpoint had none; give token ids instead of text",
     "no tokenizer.json in the artifact",
     "give --ids, or add tokenizer.json to the checkpoint and compile again",
     "epigraph run NAME.epi --ids 0,328"},
    {ErrorCode::NoBos, BadInput, "… names no begin-of-sequence token, which every window …",
     "eval starts each window with one, and the checkpoint's configuration names none",
     "add bos_token_id to generation_config.json and compile again",
     "grep bos_token_id MODEL_DIR/generation_config.json"},
    {ErrorCode::TextTooShort, BadInput,
     "the text has … tokens, less than one window of …; use a longer text or a smaller --window\n"
     "nothing to score: expected at least two tokens",
     "a short text", "a longer text, or a smaller --window",
     "epigraph eval NAME.epi --text FILE --window 128"},
    {ErrorCode::NoMtp, Unsupported,
     "the model has no MTP layer, or the artifact was compiled without it",
     "MTP logits of a model without that layer", "a checkpoint with num_nextn_predict_layers",
     "epigraph inspect NAME.epi"},
    {ErrorCode::NoFreePages, Resources,
     "… finds no free cache pages: sequences left open hold them; …\n"
     "… needs … more cache pages of …",
     "open sequences of a Python Session hold all pages", "close some",
     "session.close_sequence(sequence)"},
    {ErrorCode::Deadline, Resources,
     "… did not arrive within …\n"
     "… has made no progress for …",
     "a rank took longer than --deadline", "on a busy machine raise it; else report it",
     "epigraph run NAME.epi --prompt TEXT --deadline 300"},
    {ErrorCode::DeviceFailed, Internal, "kernels on GPU … failed: …",
     "a kernel read or wrote outside of its memory, or the GPU itself failed: a bug, or broken "
     "hardware; the process cannot use the GPU any more",
     "run it again under compute-sanitizer and report what it says; look for Xid errors in dmesg",
     "compute-sanitizer epigraph run NAME.epi --ids 0"},
    {ErrorCode::WrongWorld, BadInput,
     "the artifact has … ranks, and …; on this target each rank is a process: start …\n"
     "rank … is of … ranks, and rank … of …; …",
     "on a GPU each rank is a process, and not as many were started as the model was compiled for",
     "start one process for each rank, or compile the model again for as many as there are",
     "mpirun -n 8 epigraph run NAME.epi --prompt TEXT"},
    {ErrorCode::BadRank, BadInput,
     "… is '…'; expected a number\n…; expected a rank from 0 to …\n"
     "rank … of job … runs already; …\n"
     "two processes of job … are rank …; …",
     "the environment does not say which rank this process is: a variable of mpirun, torchrun or "
     "srun was set by hand, or left over",
     "start the ranks with one of these, or unset the variable", "unset RANK WORLD_SIZE"},
    {ErrorCode::DifferentArtifacts, BadInput, "rank … and rank … run different artifacts; …",
     "the processes of a job were given different artifacts, or copies of different compilations",
     "give all ranks the same artifact", "mpirun -n 2 epigraph run NAME.epi --prompt TEXT"},
    {ErrorCode::RankLost, Resources,
     "rank …: …: rank … has ended\n"
     "rank …: …: rank … gave up: …",
     "another rank of the job was killed, crashed or gave up; all others end with it",
     "look for what that rank has said last; a rank that was killed without a word has often run "
     "out of host memory",
     "dmesg"},
    {ErrorCode::BadSampling, BadInput,
     "…: temperature is …; expected …\n…: top_k is …; expected …\n…: top_p is …; expected …\n"
     "…: min_p is …; expected …",
     "a number that says how tokens are sampled is outside of its range",
     "a number that the message allows",
     "epigraph run NAME.epi --prompt TEXT --temperature 0.7 --top-p 0.9"},
};

} // namespace

absl::Span<const ErrorInfo> errorCatalog() { return kCatalog; }

} // namespace epigraph
