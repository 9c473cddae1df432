// What torch.save writes since 1.6: a zip with a pickle that names the tensors, and one member per tensor.
#include <cstring>

#include "core/text.h"
#include "fovea/io.h"
#include "io/zip.h"

namespace fovea {

namespace {

std::string_view storage_of(DType dtype) {
    switch (dtype) {
        case DType::f32: return "FloatStorage";
        case DType::f64: return "DoubleStorage";
        case DType::i32: return "IntStorage";
        case DType::i64: return "LongStorage";
        case DType::u8: return "ByteStorage";
    }
    fail<ArgumentError>("unknown dtype {}", static_cast<int>(dtype));
}

/// Opcodes of pickle protocol 2; Python's Lib/pickletools.py documents them.
class PickleWriter {
public:
    void raw(std::string_view opcodes) { text_ += opcodes; }
    void global(std::string_view module, std::string_view name) { text_ += fmt::format("c{}\n{}\n", module, name); }
    void text(std::string_view value) { raw("X"), little_endian(value.size(), 4), raw(value); }
    void integer(std::int64_t value) {
        const bool is_short = value >= 0 && value <= 0x7fffffff;
        raw(is_short ? "J" : std::string_view("\x8a\x08"));
        little_endian(static_cast<std::uint64_t>(value), is_short ? 4 : 8);
    }
    void integers(const std::vector<std::int64_t>& values) {
        raw("(");
        for (const std::int64_t value : values) integer(value);
        raw("t");
    }
    [[nodiscard]] const std::string& finish() { return raw("."), text_; }

private:
    void little_endian(std::uint64_t value, int bytes) {
        for (int i = 0; i < bytes; ++i) text_ += static_cast<char>(value >> (8 * i));
    }
    std::string text_;
};

}  // namespace

std::string to_pytorch(const Parameters& parameters) {
    PickleWriter pickle;
    pickle.raw("\x80\x02");
    pickle.global("collections", "OrderedDict");
    pickle.raw(")R(");
    ZipWriter zip;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        const std::string& name = parameters.names()[i];
        const Tensor& tensor = parameters.at(name);
        pickle.text(name);
        // _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks); the storage is named by a persistent id.
        pickle.global("torch._utils", "_rebuild_tensor_v2");
        pickle.raw("((");
        pickle.text("storage");
        pickle.global("torch", storage_of(tensor.dtype()));
        pickle.text(std::to_string(i));
        pickle.text("cpu");
        pickle.integer(tensor.elements());
        pickle.raw("tQ");
        pickle.integer(0);
        const auto dims = tensor.shape().dims();
        std::vector<std::int64_t> strides(dims.size(), 1);
        for (std::size_t d = dims.size(); d-- > 1;) strides[d - 1] = strides[d] * std::max<std::int64_t>(dims[d], 1);
        pickle.integers({dims.begin(), dims.end()});
        pickle.integers(strides);
        pickle.raw("\x89");
        pickle.global("collections", "OrderedDict");
        pickle.raw(")RtR");
    }
    pickle.raw("u");
    zip.add("archive/data.pkl", pickle.finish());
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        const Tensor& tensor = parameters.at(parameters.names()[i]);
        zip.add(fmt::format("archive/data/{}", i), {reinterpret_cast<const char*>(tensor.raw()), tensor.bytes()});
    }
    zip.add("archive/version", "3\n");
    return zip.finish();
}

void save_pytorch(const std::string& path, const Parameters& parameters) { write_file_atomically(path, to_pytorch(parameters)); }

}  // namespace fovea
