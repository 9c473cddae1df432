// Weights on disk: safetensors and PyTorch's .pth/.pt/.th (read and write), Caffe, Darknet, Keras, dlib (read), and matching them to a network. ONNX, both ways.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fovea/graph.h"

namespace fovea {

/// What a weights file says besides its tensors: strings by key.
using Metadata = std::map<std::string, std::string, std::less<>>;

// ---- safetensors ----------------------------------------------------------------------------

/// f32, f64, i32, i64, u8 as they are; f16 and bf16 become f32, bool becomes u8. In the order of the file's header.
/// Throws FormatError for any other content; reads nothing outside the file whatever its bytes.
/// load_ maps the file: tensors lie in it and are fetched page by page when first used, unless their type has to be widened.
[[nodiscard]] Parameters load_safetensors(const std::string& path, Metadata* metadata = nullptr);
/// The same from bytes; `name` stands in messages.
[[nodiscard]] Parameters parse_safetensors(std::span<const std::byte> bytes, std::string_view name, Metadata* metadata = nullptr);
/// The file's bytes: equal parameters and metadata give equal bytes. Names stay in the order of `parameters`.
[[nodiscard]] std::string to_safetensors(const Parameters& parameters, const Metadata& metadata = {});
/// Written with write_file_atomically.
void save_safetensors(const std::string& path, const Parameters& parameters, const Metadata& metadata = {});
inline void save(const Parameters& parameters, const std::string& path, const Metadata& metadata = {}) { save_safetensors(path, parameters, metadata); }

// ---- PyTorch --------------------------------------------------------------------------------

/// What torch.load opens: a state_dict (an OrderedDict of tensors) in torch.save's zip. Equal parameters give equal bytes.
[[nodiscard]] std::string to_pytorch(const Parameters& parameters);
void save_pytorch(const std::string& path, const Parameters& parameters);

/// A file of torch.save, zip or the older stream. Only tensors and plain containers are read: nothing in the file is ever run,
/// any other Python object is refused by name. Names are the paths of the dictionaries ("state_dict" and the like left out when
/// they hold every tensor); plain numbers and texts beside the tensors ("best_prec1") go to `metadata`.
[[nodiscard]] Parameters load_pytorch(const std::string& path, Metadata* metadata = nullptr);
[[nodiscard]] Parameters parse_pytorch(std::span<const std::byte> bytes, std::string_view name, Metadata* metadata = nullptr);

// ---- any of them ----------------------------------------------------------------------------

enum class WeightsFormat { safetensors, pytorch, caffe, darknet, keras, dlib, onnx };
/// "safetensors", "PyTorch", "Caffe", "Darknet", "Keras", "dlib", "ONNX".
[[nodiscard]] std::string_view name_of(WeightsFormat format);
/// Told by the file's content, not by its name. Throws FormatError with the first bytes when it is none of them.
[[nodiscard]] WeightsFormat weights_format(const std::string& path);

/// A weights file of any format. Other formats' names and layouts become PyTorch's: "conv1.weight" [K, C, R, S], "bn1.running_mean".
///
/// `description` is the second file that some formats have: Darknet's .cfg, without which nothing in its .weights can be told, and
/// Caffe's .prototxt, which chooses and checks layers. Empty: the .cfg beside the file, named like it.
[[nodiscard]] Parameters load_weights(const std::string& path, Metadata* metadata = nullptr, const std::string& description = {});
/// The same from bytes; `name` stands in messages.
[[nodiscard]] Parameters parse_weights(std::span<const std::byte> bytes, std::string_view name, Metadata* metadata = nullptr, std::span<const std::byte> description = {});

struct LoadOptions {
    std::string name = "weights";         ///< of the source, in messages: usually the path
    std::string strip_prefix = "module."; ///< taken off when every source name begins with it (PyTorch's DataParallel)
    bool allow_missing = false;           ///< targets without a source keep their values
    bool allow_unexpected = false;        ///< sources without a target are left out
    std::string only{};                   ///< only targets whose names begin like this are loaded, the others keep their values
    std::vector<std::string> keep{};      ///< targets that keep their values whatever the source has: a new head
    bool in_order = true;                 ///< when source and target share no name at all, tensors are taken in order if all shapes agree
};

struct LoadReport {
    std::vector<std::pair<std::string, std::string>> matched;  ///< target, source
    std::vector<std::string> missing;     ///< in the target only; batch norm's num_batches_tracked is never required
    std::vector<std::string> unexpected;  ///< in the source only
    std::vector<std::string> mismatched;  ///< "'fc.weight' is [10, 64] in the network and [100, 64] in the file"
    std::vector<std::string> kept;        ///< not looked for, as the options say
    std::map<std::string, std::string> nearest;  ///< of a missing name: the unexpected one it may be, of its shape where there is one
    bool is_in_order = false;             ///< matched by order, not by name
    [[nodiscard]] bool is_exact() const { return missing.empty() && unexpected.empty() && mismatched.empty(); }
};

/// What load_into would do, without doing it.
[[nodiscard]] LoadReport compare(const Parameters& target, const Parameters& source, const LoadOptions& options = {});

/// Sets values by name, converted to the target's dtype; equal dtypes share the source's storage. Throws FormatError with the report,
/// changing nothing, unless the names and shapes agree or the options allow the difference; another shape is never allowed:
///   load 'r50.safetensors': missing 'fc.weight' [1000, 2048]; unexpected 'head.weight' has that shape. Renamed?
LoadReport load_into(Parameters& target, const Parameters& source, const LoadOptions& options = {});

/// Names that begin with `source` begin with `target` instead.
struct PrefixRule {
    std::string source, target;
};
/// The tensors of `source` that a rule names (the first that fits), under their new names; the others are left out. Part of one
/// network starts another: load_into(target, with_prefixes(source, rules), {.allow_missing = true}).
[[nodiscard]] Parameters with_prefixes(const Parameters& source, const std::vector<PrefixRule>& rules);

/// The parameters of `graph` with the values of `source`, in declaration order: load_into without starting values that would be thrown away.
/// Nothing may be missing.
[[nodiscard]] Parameters parameters_from(const Graph& graph, const Parameters& source, const LoadOptions& options = {});

/// The parameters of the last layer with parameters before each output: what another number of classes replaces.
[[nodiscard]] std::vector<std::string> head_of(const Graph& graph);

// ---- ONNX -----------------------------------------------------------------------------------

struct WriteOnnxOptions {
    int opset = 13;               ///< 13 to 17
    std::int64_t batch = 0;       ///< 0: the batch stays open
    bool fold_batch_norm = true;  ///< into the convolution or linear layer before it, as compile() does; off: BatchNormalization nodes
    std::string name = "fovea";   ///< of the graph in the file
    Metadata metadata{};          ///< metadata_props: preprocessing, class names, ...
};

/// The network as inference runs it (dropout gone, batch norm on running statistics) in ONNX: inputs, outputs, parameters and nodes keep
/// their names. Throws ArgumentError that lists every op without a counterpart in ONNX.
[[nodiscard]] std::string to_onnx(const Graph& graph, const Parameters& parameters, const WriteOnnxOptions& options = {});
/// Written with write_file_atomically.
void write_onnx(const std::string& path, const Graph& graph, const Parameters& parameters, const WriteOnnxOptions& options = {});
/// The ops that to_onnx writes, sorted.
[[nodiscard]] std::vector<std::string> written_onnx_ops();

struct ReadOnnxOptions {
    bool open_batch = false;  ///< an input whose first dimension is a number takes any batch; the network is read as one that treats samples alike
    std::string input{};      ///< new name of the input, where there is one alone ("image" is what Trainer and Classifier feed)
    std::string output{};     ///< new name of the first output ("out")
};

struct OnnxNetwork {
    Graph graph;
    Parameters parameters;
    Metadata metadata{};  ///< metadata_props
    std::int64_t opset = 0;
    std::string producer{};
};

/// A network that can be compiled, summarised and trained on. Initialisers that are weights become parameters under their names (of the
/// form our ops read: a matrix of Gemm is [out, in]), BatchNormalization a batch norm that learns, shapes that are computed in the file are
/// computed now. Throws FormatError for a damaged file, and one that lists every operator that is not read.
[[nodiscard]] OnnxNetwork read_onnx(const std::string& path, const ReadOnnxOptions& options = {});
/// The same from bytes; `name` stands in messages.
[[nodiscard]] OnnxNetwork parse_onnx(std::span<const std::byte> bytes, std::string_view name, const ReadOnnxOptions& options = {});
/// Whether `path` is a file, and looks like an ONNX model by its first bytes: a whole network, which stands wherever a model's name does.
[[nodiscard]] bool is_onnx(const std::string& path);
/// The operators that are read, sorted.
[[nodiscard]] std::vector<std::string> read_onnx_operators();

}  // namespace fovea
