// The safetensors format: 8 bytes header length, a JSON header, the tensors' bytes without gaps. github.com/huggingface/safetensors
#include <algorithm>
#include <cstring>
#include <optional>
#include <set>

#include <nlohmann/json.hpp>

#include "core/text.h"
#include "fovea/io.h"
#include "io/elements.h"
#include "io/readers.h"

namespace fovea {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::pair<std::string_view, Stored> type_names[] = {{"F32", Stored::f32}, {"F64", Stored::f64}, {"F16", Stored::f16}, {"BF16", Stored::bf16}, {"I8", Stored::i8},
                                                              {"I16", Stored::i16}, {"I32", Stored::i32}, {"I64", Stored::i64}, {"U8", Stored::u8},     {"BOOL", Stored::boolean}};

struct Entry {
    std::string name;
    Stored stored{};
    Shape shape;
    std::size_t begin = 0, end = 0;
};

/// The header as JSON; refuses a name given twice, which JSON readers otherwise hide.
Json parse_header(std::string_view text, std::string_view file) {
    std::set<std::string> keys;
    std::string twice;
    bool is_deep = false;
    const Json::parser_callback_t watch = [&](int depth, Json::parse_event_t event, Json& value) {
        // Nothing in a header lies deeper than the numbers of a shape; what does is not kept.
        if (depth >= 3 && (event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start)) return is_deep = true, false;
        if (depth == 1 && event == Json::parse_event_t::key && !keys.insert(value.get<std::string>()).second) twice = value.get<std::string>();
        return true;
    };
    Json header = Json::parse(text, watch, /*allow_exceptions=*/false);
    require<FormatError>(!is_deep, "load '{}': the header nests deeper than any safetensors header", file);
    require<FormatError>(!header.is_discarded() && header.is_object(), "load '{}': the header is not a JSON object", file);
    require<FormatError>(twice.empty(), "load '{}': '{}' stands twice in the header", file, twice);
    return header;
}

Entry parse_entry(const std::string& name, const Json& json, std::size_t data_bytes, std::string_view file) {
    Entry entry{.name = name};
    require<FormatError>(json.is_object() && json.contains("dtype") && json.contains("shape") && json.contains("data_offsets"),
                         "load '{}': '{}' needs dtype, shape and data_offsets", file, name);
    const Json &type = json["dtype"], &shape = json["shape"], &offsets = json["data_offsets"];
    const auto known = std::ranges::find_if(type_names, [&](const auto& t) { return type.is_string() && type.get_ref<const std::string&>() == t.first; });
    require<FormatError>(known != std::end(type_names), "load '{}': '{}' has dtype {}, known are F32 F64 F16 BF16 I8 I16 I32 I64 U8 BOOL", file, name,
                         type.is_string() ? type.get<std::string>() : "that is not text");
    entry.stored = known->second;
    require<FormatError>(shape.is_array() && shape.size() <= Shape::max_rank, "load '{}': the shape of '{}' is not a list of at most {} sizes", file, name, Shape::max_rank);
    std::size_t bytes = size_of(entry.stored);
    for (const Json& dim : shape) {
        require<FormatError>(dim.is_number_unsigned(), "load '{}': a size of '{}' is not a whole number", file, name);
        const auto size = dim.get<std::uint64_t>();
        // A product that fits into the file is far from overflow; size 0 makes everything 0.
        require<FormatError>(size <= (std::uint64_t{1} << 40) && (size == 0 || bytes <= (std::size_t{1} << 62) / size), "load '{}': '{}' is larger than any file", file, name);
        bytes *= size;
        entry.shape.push_back(static_cast<std::int64_t>(size));
    }
    require<FormatError>(offsets.is_array() && offsets.size() == 2 && offsets[0].is_number_unsigned() && offsets[1].is_number_unsigned(),
                         "load '{}': data_offsets of '{}' are not two whole numbers", file, name);
    entry.begin = offsets[0].get<std::size_t>(), entry.end = offsets[1].get<std::size_t>();
    require<FormatError>(entry.begin <= entry.end && entry.end <= data_bytes, "load '{}': '{}' lies at {}..{}, the file has {} bytes of data", file, name, entry.begin, entry.end,
                         data_bytes);
    require<FormatError>(entry.end - entry.begin == bytes, "load '{}': '{}' {} of {} takes {} bytes, data_offsets give {}", file, name, entry.shape, known->first, bytes,
                         entry.end - entry.begin);
    return entry;
}

/// Tensors follow each other without gap or overlap, as the format demands: otherwise bytes could hide or be counted twice.
void check_cover(std::vector<Entry> entries, std::size_t data_bytes, std::string_view file) {
    std::ranges::sort(entries, [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
    std::size_t at = 0;
    for (const Entry& entry : entries) {
        require<FormatError>(entry.begin == at, "load '{}': '{}' begins at {}, the tensor before it ends at {}", file, entry.name, entry.begin, at);
        at = entry.end;
    }
    require<FormatError>(at == data_bytes, "load '{}': the tensors end at {} of {} bytes of data", file, at, data_bytes);
}

}  // namespace

Parameters read_safetensors(const Source& source, Metadata* metadata) {
    const auto bytes = source.bytes;
    const std::string_view name = source.name;
    require<FormatError>(bytes.size() >= 8, "load '{}': {} bytes are no safetensors file, its header length alone takes 8", name, bytes.size());
    std::uint64_t header_bytes = 0;
    std::memcpy(&header_bytes, bytes.data(), 8);
    require<FormatError>(header_bytes <= bytes.size() - 8, "load '{}': header of {} bytes in a file of {}", name, header_bytes, bytes.size());
    constexpr std::size_t largest_header = 100'000'000;  // the format's own limit
    require<FormatError>(header_bytes <= largest_header, "load '{}': header of {} bytes, safetensors allows {}", name, header_bytes, largest_header);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data() + 8), header_bytes);
    const auto data = bytes.subspan(8 + header_bytes);
    const Json header = parse_header(text, name);
    std::vector<Entry> entries;
    for (const auto& [key, value] : header.items()) {
        if (key != "__metadata__") {
            entries.push_back(parse_entry(key, value, data.size(), name));
            continue;
        }
        require<FormatError>(value.is_object(), "load '{}': __metadata__ is not an object", name);
        for (const auto& [item, content] : value.items()) {
            require<FormatError>(content.is_string(), "load '{}': metadata '{}' is not text", name, item);
            if (metadata != nullptr) (*metadata)[item] = content.get<std::string>();
        }
    }
    check_cover(entries, data.size(), name);
    Parameters parameters;
    for (const Entry& entry : entries) {
        parameters.set(entry.name, source.tensor(data.subspan(entry.begin, entry.end - entry.begin), entry.stored, entry.shape));
    }
    return parameters;
}

Parameters parse_safetensors(std::span<const std::byte> bytes, std::string_view name, Metadata* metadata) { return read_safetensors({bytes, name}, metadata); }
Parameters load_safetensors(const std::string& path, Metadata* metadata) { return read_safetensors({MappedFile(path), path}, metadata); }

std::string to_safetensors(const Parameters& parameters, const Metadata& metadata) {
    // Wide elements first, so that every tensor is aligned to its element; the header keeps the order of `parameters`.
    std::vector<std::string> order = parameters.names();
    std::ranges::stable_sort(order, std::greater{}, [&](const std::string& name) { return size_of(parameters.at(name).dtype()); });
    std::map<std::string, std::size_t, std::less<>> begins;
    std::size_t data_bytes = 0;
    for (const auto& name : order) {
        require<ArgumentError>(name != "__metadata__", "save: a parameter cannot be named '__metadata__', the format keeps that name");
        begins[name] = data_bytes;
        data_bytes += parameters.at(name).bytes();
    }
    Json header = Json::object();
    if (!metadata.empty()) {
        header["__metadata__"] = Json::object();
        for (const auto& [key, value] : metadata) header["__metadata__"][key] = value;
    }
    for (const auto& name : parameters.names()) {
        const Tensor& tensor = parameters.at(name);
        std::string_view type;
        for (const auto& [text, stored] : type_names)
            if (held_as(stored) == tensor.dtype() && size_of(stored) == size_of(tensor.dtype()) && stored != Stored::boolean) type = text;
        header[name] = {{"dtype", type}, {"shape", tensor.shape().dims()}, {"data_offsets", {begins[name], begins[name] + tensor.bytes()}}};
    }
    std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
    text.resize((text.size() + 8 + 63) / 64 * 64 - 8, ' ');  // data begin on a cache line, so that a mapped file is used in place
    std::string bytes(8 + text.size() + data_bytes, '\0');
    const std::uint64_t header_bytes = text.size();
    std::memcpy(bytes.data(), &header_bytes, 8);
    std::memcpy(bytes.data() + 8, text.data(), text.size());
    for (const auto& name : order)
        if (const Tensor& tensor = parameters.at(name); tensor.bytes() > 0) std::memcpy(bytes.data() + 8 + text.size() + begins[name], tensor.raw(), tensor.bytes());
    return bytes;
}

void save_safetensors(const std::string& path, const Parameters& parameters, const Metadata& metadata) { write_file_atomically(path, to_safetensors(parameters, metadata)); }

}  // namespace fovea
