// Any weights file by its content.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <optional>

#include "core/text.h"
#include "io/readers.h"

namespace fovea {

namespace {

std::optional<WeightsFormat> format_of(std::span<const std::byte> bytes) {
    const auto begins = [&](std::string_view text, std::size_t at = 0) { return bytes.size() >= at + text.size() && std::memcmp(bytes.data() + at, text.data(), text.size()) == 0; };
    const auto byte = [&](std::size_t i) { return i < bytes.size() ? std::to_integer<unsigned>(bytes[i]) : 0U; };
    if (begins("PK\x03\x04") || begins("PK\x05\x06")) return WeightsFormat::pytorch;
    if (byte(0) == 0x80 && byte(1) >= 2 && byte(1) <= 5) return WeightsFormat::pytorch;
    if (begins("\x89HDF\r\n\x1a\n")) return WeightsFormat::keras;
    // A safetensors header is JSON text right behind its length.
    if (bytes.size() > 8 && byte(8) == '{') return WeightsFormat::safetensors;
    // A loss layer and its name, or layers within layers: numbers of one byte, each behind a 1.
    if ((begins("\x01\x01\x01") && begins("loss_", 4)) || (byte(0) == 1 && byte(1) >= 1 && byte(1) <= 3 && byte(2) == 1 && byte(3) >= 1 && byte(3) <= 3)) return WeightsFormat::dlib;
    // Darknet's version: 0.1 or 0.2 and a revision, as three small numbers.
    if (begins(std::string_view("\0\0\0\0", 4)) && (byte(4) == 1 || byte(4) == 2) && begins(std::string_view("\0\0\0", 3), 5) && byte(8) < 16 && begins(std::string_view("\0\0\0", 3), 9))
        return WeightsFormat::darknet;
    if (looks_like_onnx(bytes)) return WeightsFormat::onnx;
    if (looks_like_caffe(bytes)) return WeightsFormat::caffe;
    return std::nullopt;
}

WeightsFormat known_format(const Source& source) {
    const auto bytes = source.bytes;
    require<FormatError>(!bytes.empty(), "load '{}': the file is empty", source.name);
    const auto format = format_of(bytes);
    if (format) return *format;
    require<FormatError>(bytes.size() >= 8, "load '{}': {} bytes are too few for any weights file", source.name, bytes.size());
    std::string first;
    for (std::size_t i = 0; i < 8; ++i) first += fmt::format(" {:02x}", std::to_integer<unsigned>(bytes[i]));
    fail<FormatError>("load '{}': not a weights file of any known format (safetensors, PyTorch, Caffe, Darknet, Keras, dlib, ONNX); it begins with{}", source.name, first);
}

Parameters read_weights(const Source& source, Metadata* metadata, const Source* description) {
    switch (known_format(source)) {
        case WeightsFormat::safetensors: return read_safetensors(source, metadata);
        case WeightsFormat::pytorch: return read_pytorch(source, metadata);
        case WeightsFormat::caffe: return read_caffe(source, description, metadata);
        case WeightsFormat::keras: return read_keras(source, metadata);
        case WeightsFormat::dlib: return read_dlib(source, metadata);
        case WeightsFormat::onnx: {
            OnnxNetwork network = parse_onnx(source.bytes, source.name);
            if (metadata) *metadata = std::move(network.metadata);
            return std::move(network.parameters);
        }
        case WeightsFormat::darknet:
            require<FormatError>(description != nullptr, "load '{}': Darknet weights are floats without names: the network's .cfg is needed, beside the file or named", source.name);
            return read_darknet(source, *description, metadata);
    }
    fail<FormatError>("load '{}': unknown format", source.name);
}

}  // namespace

std::string_view name_of(WeightsFormat format) {
    constexpr std::string_view names[] = {"safetensors", "PyTorch", "Caffe", "Darknet", "Keras", "dlib", "ONNX"};
    return names[static_cast<std::size_t>(format)];
}

WeightsFormat weights_format(const std::string& path) { return known_format({MappedFile(path), path}); }

Parameters load_weights(const std::string& path, Metadata* metadata, const std::string& description) {
    const MappedFile file(path);
    const Source source(file, path);
    std::string second = description;
    if (second.empty()) {
        const std::string beside = std::filesystem::path(path).replace_extension(".cfg").string();
        if (beside != path && std::filesystem::is_regular_file(beside) && known_format(source) == WeightsFormat::darknet) second = beside;
    }
    if (second.empty()) return read_weights(source, metadata, nullptr);
    const MappedFile text(second);
    const Source described(text, second);
    return read_weights(source, metadata, &described);
}

Parameters parse_weights(std::span<const std::byte> bytes, std::string_view name, Metadata* metadata, std::span<const std::byte> description) {
    const Source described(description, "description");
    return read_weights({bytes, name}, metadata, description.empty() ? nullptr : &described);
}

}  // namespace fovea
