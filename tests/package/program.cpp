#include <fovea/fovea.h>

#include <iostream>

int main() {
    fovea::Graph net;
    const fovea::Value x = net.input("image", {fovea::dynamic, 1, 28, 28});
    const fovea::Value y = fovea::mean(fovea::relu(x), {.axes = {2, 3}});
    std::cout << "fovea works: " << y.shape().str() << "\n";
}
